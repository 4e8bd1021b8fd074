/* Stamping while nothing happens: the frames of a primary track whose clock goes on as it did. Plain C, no Python.
 *
 * Decides nothing that camera/clock does not decide: each frame is passed only if the rules there (PrimaryClock.place for a
 * run of one frame) would change nothing but the state below; else it is left to them. A test feeds both the same units.
 */
#ifndef FOV_STEADY_H
#define FOV_STEADY_H

#include "fov_columns.h"
#include "fov_unit.h"

/* Beyond these a time is left to arithmetic that cannot overflow. */
#define FOV_STEADY_PTS ((int64_t)1500000000 * 1000000000)
#define FOV_STEADY_TIME ((int64_t)1 << 61)

typedef struct {
    /* Settings and what does not change here. */
    int64_t step, anchor, jump, reorder_min, reorder_frames, reorder_ns, earliest, latest;
    int64_t offset, wall_shift; /* wall clock minus media clock; wall clock minus receipt */
    int64_t error;              /* bound without the reports' deviation */
    int64_t improve_after;      /* a keyframe received from then on may move a local clock */
    int reorders, live, reported, local, video, trust_first, track, clock;
    /* State. */
    int64_t max_pts, receipt, interval, last_dts, last_time, deviation, slack, relation;
    int had_wall, has_relation;
} fov_steady;

FOV_INLINE int fov_steady_fits(int64_t value) { return value > -FOV_STEADY_TIME && value < FOV_STEADY_TIME; }

FOV_INLINE int fov_steady_jumps(const fov_steady *at, const fov_unit_row *unit) {
    int64_t frames = at->interval * at->reorder_frames, most = frames ? frames : at->reorder_ns;
    if (most < at->reorder_min) most = at->reorder_min;
    if (unit->pts_ns < at->max_pts - most) return 1;
    return at->live && unit->pts_ns - at->max_pts - (unit->receipt_ns - at->receipt) > at->jump;
}

/* Takes one frame; 0 = it is not for here, and nothing has changed. */
static inline int fov_steady_take(fov_steady *at, const fov_unit_row *unit, uint8_t *frame) {
    int64_t pts = unit->pts_ns, receipt = unit->receipt_ns, relation = 0;
    int had_wall, trusted = 0, may_change = !at->video || (unit->flags & 1);
    if (!fov_steady_fits(receipt) || fov_steady_jumps(at, unit)) return 0;
    if (unit->wall_ns < at->earliest || unit->wall_ns > at->latest) {
        had_wall = at->trust_first;
    } else {
        trusted = at->had_wall;
        had_wall = 1;
    }
    if (trusted) {
        relation = unit->wall_ns - pts;
        if (!at->has_relation || !fov_steady_fits(relation)) return 0;
        if (at->reported) {
            int64_t moved = relation - at->offset;
            if (moved < 0) moved = -moved;
            if (moved >= at->step || (moved > at->anchor && may_change)) return 0;
        }
    }
    if (!at->reported && (at->has_relation || (at->local && may_change && receipt >= at->improve_after))) return 0;

    int64_t time = pts + at->offset;
    if (time < 0) time = 0;
    int64_t dts = time > at->last_dts ? time : at->last_dts + 1, step = dts - at->last_dts;
    if (step >= 1000000 && step < at->jump) at->interval = step;
    at->had_wall = had_wall;
    if (trusted) {
        at->relation = relation;
        if (at->reported) at->deviation = relation - at->offset;
    }
    at->last_dts = dts;
    at->last_time = time;
    if (pts > at->max_pts) at->max_pts = pts;
    at->receipt = receipt;
    int64_t received = receipt + at->wall_shift, slack = received - time;
    if (slack < at->slack) at->slack = slack;
    int64_t error = at->error;
    if (at->reported) error += at->deviation < 0 ? -at->deviation : at->deviation;
    fov_put_le(frame + FOV_ROW_TIME, (uint64_t)time, 8);
    fov_put_le(frame + FOV_ROW_DTS, (uint64_t)dts, 8);
    fov_put_le(frame + FOV_ROW_RECEIPT, (uint64_t)received, 8);
    fov_put_le(frame + FOV_ROW_ERROR, (uint64_t)error, 8);
    fov_put_le(frame + FOV_ROW_DIGEST, unit->digest, 8);
    fov_put_le(frame + FOV_ROW_SIZE, unit->size, 4);
    frame[FOV_ROW_TRACK] = unit->track;
    frame[FOV_ROW_FLAGS] = unit->flags;
    frame[FOV_ROW_CLOCK] = (uint8_t)at->clock;
    return 1;
}

/* Takes frames from units[0] on as long as they are steady; writes a row of the frame table and a position for each.
 * Returns the units that are done with; *taken: how many of them were frames of the track (others end it, notes don't). */
static inline int64_t fov_steady_run(fov_steady *at, const fov_unit_row *units, int64_t count, uint8_t *frames,
                                     int64_t *positions, int64_t *taken) {
    int64_t i = 0;
    *taken = 0;
    for (; i < count; i++) {
        const fov_unit_row *unit = units + i;
        if (unit->kind != FOV_KIND_FRAME) continue;
        if (unit->track != at->track || unit->pts_ns <= -FOV_STEADY_PTS || unit->pts_ns >= FOV_STEADY_PTS) break;
        if (at->reorders) { /* a run of one: the next frame of the track is shown after it */
            int64_t next = i + 1;
            while (next < count && (units[next].kind != FOV_KIND_FRAME || units[next].track != at->track)) next++;
            if (next == count || units[next].pts_ns <= unit->pts_ns || units[next].pts_ns >= FOV_STEADY_PTS) break;
        }
        if (!fov_steady_take(at, unit, frames + *taken * FOV_ROW_BYTES)) break;
        positions[(*taken)++] = unit->position;
    }
    return i;
}

#endif
