/* Access units in a ring: header, stored form, and the rule by which a full ring drops.
 *
 * A frame that finds no room is dropped and counted by track. From the first dropped video frame on video is dropped
 * until a keyframe fits, since what refers to a missing frame cannot be decoded. The next frame of that track which
 * goes in carries the number (value) and LOST_BEFORE. Frames leave some bytes free, so that FORMAT and END go in.
 */
#ifndef FOV_UNIT_H
#define FOV_UNIT_H

#include "fov_nal.h"
#include "fov_ring.h"

enum { FOV_KIND_FRAME = 1, FOV_KIND_FORMAT = 2, FOV_KIND_END = 3 };
enum { FOV_VIDEO_TRACK = 1 };

/* Before the payload of a unit record. 48 bytes. */
typedef struct {
    int64_t pts_ns, wall_ns, receipt_ns, value;
    uint64_t digest;
    uint32_t session;
    uint8_t kind, track, flags, packing;
} fov_unit;

/* A row of what the consumer gets: fovideo.ring.units.UNIT. 72 bytes. */
typedef struct {
    int64_t pts_ns, wall_ns, receipt_ns, value;
    uint64_t digest;
    int64_t position, end;
    uint32_t size, session;
    uint8_t kind, track, flags, pad[5];
} fov_unit_row;

/* Bytes that frames leave free for FORMAT and END. */
FOV_INLINE uint64_t fov_unit_spare(const fov_ring *ring) { return ring->capacity / 16 < 8192 ? ring->capacity / 16 : 8192; }

FOV_INLINE void fov_unit_drop(fov_ring *ring, const fov_unit *unit, size_t size) {
    fov_ring_control *c = ring->control;
    FOV_STORE_RELAXED(&c->dropped_units, c->dropped_units + 1);
    FOV_STORE_RELAXED(&c->dropped_bytes, c->dropped_bytes + size);
    FOV_STORE_RELAXED(&c->lost[unit->track & 3], c->lost[unit->track & 3] + 1);
    if (unit->track == FOV_VIDEO_TRACK) FOV_STORE_RELAXED(&c->dropping, 1);
}

/* Converts, digests and publishes one unit: 1, or 0 if the ring is full (a frame then counts as dropped).
 * unit->digest, and the bits of unit->flags that the payload shows, are filled in here; unit->value is the caller's,
 * but for frames, where it becomes the number of frames lost before. */
static inline int fov_unit_push(fov_ring *ring, fov_unit *unit, const void *payload, size_t size, int length_size) {
    fov_ring_control *c = ring->control;
    fov_nal_plan plan;
    int frame = unit->kind == FOV_KIND_FRAME, lane = unit->track & 3;
    size_t stored = size;
    plan.count = 0;
    plan.h265 = 0;
    if (unit->packing != FOV_RAW) {
        fov_nal_plan_make(&plan, payload, size, unit->packing, length_size);
        stored = plan.size;
        unit->flags |= (uint8_t)(plan.flags & (FOV_KEY | FOV_PARAMS | FOV_CORRUPT));
    }
    int waits = frame && unit->track == FOV_VIDEO_TRACK && c->dropping && !(unit->flags & FOV_KEY);
    uint8_t *body = waits ? NULL : fov_ring_reserve(ring, sizeof *unit + stored, frame ? fov_unit_spare(ring) : 0);
    if (!body) {
        if (frame) fov_unit_drop(ring, unit, stored);
        return 0;
    }
    if (frame && c->lost[lane]) {
        unit->value = (int64_t)c->lost[lane];
        unit->flags |= FOV_LOST_BEFORE;
        FOV_STORE_RELAXED(&c->lost[lane], 0);
    }
    if (frame && unit->track == FOV_VIDEO_TRACK) FOV_STORE_RELAXED(&c->dropping, 0);
    if (unit->packing != FOV_RAW) {
        unit->digest = fov_nal_plan_store(&plan, body + sizeof *unit);
    } else {
        memcpy(body + sizeof *unit, payload, size);
        unit->digest = fov_xxh64_of(body + sizeof *unit, size);
    }
    memcpy(body, unit, sizeof *unit);
    FOV_STORE_RELAXED(&c->pushed_units, c->pushed_units + 1);
    FOV_STORE_RELAXED(&c->pushed_bytes, c->pushed_bytes + stored);
    fov_ring_commit(ring, body, sizeof *unit + stored, FOV_RECORD_UNIT);
    return 1;
}

/* A unit that is no frame: without times of its own (INT64_MIN). */
static inline int fov_unit_note(fov_ring *ring, uint8_t kind, uint32_t session, int64_t receipt_ns, const void *payload,
                                size_t size) {
    fov_unit unit;
    memset(&unit, 0, sizeof unit);
    unit.pts_ns = unit.wall_ns = INT64_MIN;
    unit.receipt_ns = receipt_ns;
    unit.session = session;
    unit.kind = kind;
    return fov_unit_push(ring, &unit, payload, size, 4);
}

/* Rows of the records from `position` on, at most `limit`, and none after the one with which they have `most_bytes`; rows
 * may be NULL to count. Returns the number, or -1 when the memory holds no record where one must be. */
static inline int64_t fov_unit_rows(fov_ring *ring, uint64_t position, int64_t limit, uint64_t most_bytes,
                                    fov_unit_row *rows) {
    fov_record record;
    int64_t count = 0;
    uint64_t bytes = 0;
    for (; count < limit && bytes < most_bytes; count++) {
        int there = fov_ring_peek(ring, position, &record);
        if (there < 0) return -1;
        if (!there) break;
        position = record.end;
        bytes += record.type == FOV_RECORD_UNIT && record.size >= sizeof(fov_unit) ? record.size - sizeof(fov_unit) : record.size;
        if (!rows) continue;
        fov_unit_row *row = rows + count;
        memset(row, 0, sizeof *row);
        row->position = (int64_t)record.position;
        row->end = (int64_t)record.end;
        row->size = record.size;
        if (record.type != FOV_RECORD_UNIT) continue;
        fov_unit unit;
        if (record.size < sizeof unit) return -1;
        memcpy(&unit, record.body, sizeof unit);
        row->pts_ns = unit.pts_ns;
        row->wall_ns = unit.wall_ns;
        row->receipt_ns = unit.receipt_ns;
        row->value = unit.value;
        row->digest = unit.digest;
        row->position += (int64_t)sizeof unit;
        row->size -= (uint32_t)sizeof unit;
        row->session = unit.session;
        row->kind = unit.kind;
        row->track = unit.track;
        row->flags = unit.flags;
    }
    return count;
}

#endif
