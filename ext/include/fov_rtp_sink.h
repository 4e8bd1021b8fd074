/* Where a session's units go: the ring, with at most one record of video that grows in place.
 *
 * An access unit is written where it will stay, NAL unit by NAL unit as its packets come, and published when it is
 * whole. Units of other tracks that are complete meanwhile go in before it: the open record is moved on by their size.
 * A full ring drops by the rule of fov_unit.h.
 */
#ifndef FOV_RTP_SINK_H
#define FOV_RTP_SINK_H

#include "fov_unit.h"

typedef struct {
    fov_ring *ring;
    uint64_t frames, bytes, dropped; /* units that came, bytes that went in, units that found no room */
    int64_t receipt_ns;              /* of the newest unit: they never go back */
    int overflow;                    /* the open record found no room; its size goes on being counted */
    size_t used;                     /* bytes of the open record behind its unit header */
    uint8_t *body;                   /* of the open record; NULL before its first byte */
} fov_sink;

FOV_INLINE void fov_sink_begin(fov_sink *s) {
    s->used = 0;
    s->overflow = 0;
    s->body = NULL;
}

/* Address of the stored form in the open record. */
FOV_INLINE uint8_t *fov_sink_start(const fov_sink *s) { return s->body + sizeof(fov_unit); }

/* Makes room for `more` bytes at the end of the open record: their address, or NULL. Earlier addresses may have moved. */
static inline uint8_t *fov_sink_room(fov_sink *s, size_t more) {
    if (s->overflow) return NULL;
    uint64_t size = sizeof(fov_unit) + s->used + more;
    uint8_t *body = fov_ring_reserve(s->ring, size, fov_unit_spare(s->ring));
    if (!body) {
        s->overflow = 1;
        return NULL;
    }
    if (s->body && body != s->body) memmove(body, s->body, sizeof(fov_unit) + s->used);
    s->body = body;
    return body + sizeof(fov_unit) + s->used;
}

FOV_INLINE void fov_sink_append(fov_sink *s, const void *data, size_t size) {
    uint8_t *at = fov_sink_room(s, size);
    if (at) memcpy(at, data, size);
    s->used += size;
}

/* Publishes what was written behind `body`, which the last reserve returned. */
static inline void fov_sink_publish(fov_sink *s, fov_unit *unit, uint8_t *body, size_t size) {
    fov_ring_control *c = s->ring->control;
    int lane = unit->track & 3;
    if (unit->receipt_ns < s->receipt_ns) unit->receipt_ns = s->receipt_ns;
    s->receipt_ns = unit->receipt_ns;
    if (c->lost[lane]) {
        unit->value = (int64_t)c->lost[lane];
        unit->flags |= FOV_LOST_BEFORE;
        FOV_STORE_RELAXED(&c->lost[lane], 0);
    }
    if (unit->track == FOV_VIDEO_TRACK) FOV_STORE_RELAXED(&c->dropping, 0);
    memcpy(body, unit, sizeof *unit);
    FOV_STORE_RELAXED(&c->pushed_units, c->pushed_units + 1);
    FOV_STORE_RELAXED(&c->pushed_bytes, c->pushed_bytes + size);
    fov_ring_commit(s->ring, body, sizeof *unit + size, FOV_RECORD_UNIT);
    FOV_STORE_RELAXED(&s->bytes, s->bytes + size);
}

FOV_INLINE int fov_sink_drop(fov_sink *s, const fov_unit *unit, size_t size) {
    fov_unit_drop(s->ring, unit, size);
    FOV_STORE_RELAXED(&s->dropped, s->dropped + 1);
    return 0;
}

/* Publishes the open record: 1, or 0 if it was dropped. unit->digest is the caller's. */
static inline int fov_sink_commit(fov_sink *s, fov_unit *unit) {
    size_t size = s->used;
    int waits = s->ring->control->dropping && unit->track == FOV_VIDEO_TRACK && !(unit->flags & FOV_KEY);
    FOV_STORE_RELAXED(&s->frames, s->frames + 1);
    if (waits || !fov_sink_room(s, 0)) {
        fov_sink_begin(s);
        return fov_sink_drop(s, unit, size);
    }
    fov_sink_publish(s, unit, s->body, size);
    fov_sink_begin(s);
    return 1;
}

/* Puts in a whole unit of a track other than video, before the open record: 1, or 0 if it was dropped. */
static inline int fov_sink_insert(fov_sink *s, fov_unit *unit, const void *payload, size_t size) {
    size_t held = s->body && !s->overflow ? sizeof *unit + s->used : 0, ahead = 0, need = sizeof *unit + size;
    if (held) {
        ahead = fov_ring_whole(need);
        need = ahead + held;
    }
    FOV_STORE_RELAXED(&s->frames, s->frames + 1);
    uint8_t *body = fov_ring_reserve(s->ring, need, fov_unit_spare(s->ring));
    if (!body) return fov_sink_drop(s, unit, size);
    if (held) {
        memmove(body + ahead, s->body, held);
        s->body = body + ahead;
        /* The same bytes have two addresses in a ring that is mapped twice; reserve knows the first only. */
        if (s->body - FOV_RING_HEADER >= s->ring->data + s->ring->capacity) s->body -= s->ring->capacity;
    }
    memcpy(body + sizeof *unit, payload, size);
    unit->digest = fov_xxh64_of(body + sizeof *unit, size);
    fov_sink_publish(s, unit, body, size);
    return 1;
}

#endif
