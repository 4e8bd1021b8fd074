/* Two recordings of one track, compared frame by frame in one walk through both. Plain C, no Python. */
#ifndef FOV_LINES_H
#define FOV_LINES_H

#include "fov_columns.h"

/* The rows of a track: presentation time, digest, number of the row, whether one of the flags is set. Returns how many
 * there are; *rising tells whether times never decrease. */
static inline int64_t fov_line(const uint8_t *rows, int64_t stride, int64_t count, int track, int flags, int64_t *time_ns,
                               uint64_t *digest, int64_t *index, uint8_t *flagged, int *rising) {
    int64_t found = 0;
    *rising = 1;
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *row = rows + i * stride;
        if (row[FOV_ROW_TRACK] != track) continue;
        time_ns[found] = (int64_t)fov_le(row + FOV_ROW_TIME, 8);
        digest[found] = fov_le(row + FOV_ROW_DIGEST, 8);
        index[found] = i;
        flagged[found] = (row[FOV_ROW_FLAGS] & flags) != 0;
        if (found && time_ns[found] < time_ns[found - 1]) *rising = 0;
        found++;
    }
    return found;
}

/* Number of the first of `count` rising times that is not before `at`; looked for from `from` on, where the one before
 * it was. */
static inline int64_t fov_first(const int64_t *time_ns, int64_t count, int64_t at, int64_t from) {
    int64_t low = from, high, step = 1;
    if (low > 0 && time_ns[low - 1] >= at) low = 0; /* not in order: from the start */
    for (high = low; high < count && time_ns[high] < at; step *= 2) {
        low = high + 1;
        high += step;
    }
    if (high > count) high = count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (time_ns[middle] < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* For each of our frames the neighbouring one of theirs (the last before it, the first not before it) of equal digest
 * within the tolerance, the nearer one of two, the earlier one of two that are as near; -1 = none. Their times rise. */
static inline void fov_partners(const int64_t *time_ns, const uint64_t *digest, int64_t count, const int64_t *their_ns,
                                const uint64_t *theirs, int64_t their_count, int64_t tolerance_ns, int64_t *partner) {
    int64_t after = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t apart_after = -1, apart_before = -1;
        after = fov_first(their_ns, their_count, time_ns[i], after);
        if (after < their_count && theirs[after] == digest[i]) apart_after = their_ns[after] - time_ns[i];
        if (after > 0 && theirs[after - 1] == digest[i]) apart_before = time_ns[i] - their_ns[after - 1];
        int is_after = apart_after >= 0 && apart_after <= tolerance_ns;
        int is_before = apart_before >= 0 && apart_before <= tolerance_ns;
        partner[i] = is_after && (!is_before || apart_after < apart_before) ? after : is_before ? after - 1 : -1;
    }
}

/* Which instants lie between two neighbours of rising times that are at most `close` apart, or within `reach` of one. */
static inline void fov_covered(const int64_t *at_ns, int64_t count, const int64_t *time_ns, int64_t their_count,
                               int64_t close_ns, int64_t reach_ns, uint8_t *covered) {
    int64_t after = 0;
    for (int64_t i = 0; i < count; i++) {
        after = fov_first(time_ns, their_count, at_ns[i], after);
        int has_after = after < their_count, has_before = after > 0;
        covered[i] = (has_after && has_before && time_ns[after] - time_ns[after - 1] <= close_ns) ||
                     (has_after && time_ns[after] - at_ns[i] <= reach_ns) ||
                     (has_before && at_ns[i] - time_ns[after - 1] <= reach_ns);
    }
}

#endif
