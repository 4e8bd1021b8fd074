/* The boxes that players read before the samples of a fragment: `prft`, `moof` and the head of `mdat`. Plain C, no Python.
 *
 * What cannot be said in a `trun` (samples before the base, times that stand still or go back, hours between two samples)
 * is bent there to what can; the frame table has the truth.
 */
#ifndef FOV_BOXES_H
#define FOV_BOXES_H

#include "fov_columns.h"

enum { FOV_LASTS_VIDEO = 0, FOV_LASTS_AAC = 1, FOV_LASTS_PCM = 2, FOV_LASTS_OPUS = 3 };
enum { FOV_PRFT_BYTES = 32, FOV_MOOF_BYTES = 24, FOV_TRAF_BYTES = 64, FOV_MDAT_BYTES = 8, FOV_TRUN_ROW_BYTES = 16 };
enum { FOV_MOST_TRACKS = 8 };
#define FOV_SYNC 0x02000000u
#define FOV_NON_SYNC 0x01010000u
#define FOV_NTP_EPOCH_S 2208988800ull

/* delay: added to composition offsets, < 0 = all are 0. lasts: how the last sample's duration is known. as_one: all rows of
 * the track are stored as one sample. */
typedef struct {
    int64_t scale, delay, channels;
    int id, lasts, as_one;
} fov_track;

FOV_INLINE uint8_t *fov_put_be(uint8_t *at, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
    return at + bytes;
}

FOV_INLINE uint8_t *fov_put_kind(uint8_t *at, const char *kind) {
    memcpy(at, kind, 4);
    return at + 4;
}

FOV_INLINE const fov_track *fov_find_track(const fov_track *tracks, int count, int id) {
    for (int i = 0; i < count; i++)
        if (tracks[i].id == id) return tracks + i;
    return NULL;
}

static int fov_by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* What the last of `count` samples lasts, as its successor is not known yet: as audio says itself, else the usual. */
static inline uint32_t fov_last_duration(const fov_track *track, const uint8_t *rows, int64_t count, const uint8_t *trun,
                                         uint32_t *scratch) {
    if (track->lasts == FOV_LASTS_AAC) return 1024;
    if (track->lasts == FOV_LASTS_PCM)
        return (uint32_t)((int64_t)fov_row(rows, count - 1, FOV_ROW_SIZE) / (track->channels > 1 ? track->channels : 1));
    if (count < 2) return (uint32_t)(track->scale / (track->lasts == FOV_LASTS_OPUS ? 50 : 25));
    for (int64_t i = 0; i + 1 < count; i++) {
        memcpy(scratch + i, trun + FOV_TRUN_ROW_BYTES * i, 4);
        scratch[i] = FOV_BSWAP32(scratch[i]);
    }
    qsort(scratch, (size_t)(count - 1), sizeof *scratch, fov_by_value);
    return scratch[(count - 1) / 2];
}

/* Rows of the trun at `out`; returns their number, *first is the decode tick of the first. */
static inline int64_t fov_samples(const fov_track *track, const uint8_t *rows, int64_t count, int64_t data_bytes,
                                  int64_t base_ns, uint8_t *out, uint32_t *scratch, int64_t *first) {
    if (!track->as_one) {
        *first = fov_trun_rows(rows, count, base_ns, track->scale, track->delay, FOV_SYNC, FOV_NON_SYNC, out);
        fov_put_be32(out + FOV_TRUN_ROW_BYTES * (count - 1), fov_last_duration(track, rows, count, out, scratch));
        return count;
    }
    int64_t last = fov_ticks((int64_t)fov_row(rows, count - 1, FOV_ROW_DTS), base_ns, track->scale), lasts;
    *first = fov_ticks((int64_t)fov_row(rows, 0, FOV_ROW_DTS), base_ns, track->scale);
    if (*first < 0) *first = 0;
    if (last < 0) last = 0;
    lasts = last - *first;
    fov_put_be32(out, lasts < 1 ? 1 : lasts > 0x7fffffff ? 0x7fffffff : lasts);
    fov_put_be32(out + 4, data_bytes);
    fov_put_be32(out + 8, FOV_SYNC);
    fov_put_be32(out + 12, 0);
    return 1;
}

/* Bytes that fov_boxes may write for rows of so many tracks' runs. */
FOV_INLINE size_t fov_boxes_limit(int64_t rows) {
    return FOV_PRFT_BYTES + FOV_MOOF_BYTES + FOV_MDAT_BYTES + (size_t)rows * (FOV_TRAF_BYTES + FOV_TRUN_ROW_BYTES);
}

/* Writes the boxes of `count` > 0 rows, each track's together, whose samples take data_bytes. Returns their size, or 0 if
 * rows are of a track that is not among `tracks`; *unknown is its id. scratch: room for count numbers. */
static inline size_t fov_boxes(const uint8_t *rows, int64_t count, int64_t data_bytes, const fov_track *tracks, int known,
                               uint32_t sequence, int64_t base_ns, uint8_t *out, uint32_t *scratch, int *unknown) {
    uint8_t *moof = out + FOV_PRFT_BYTES, *at = moof + FOV_MOOF_BYTES, *data_at[FOV_MOST_TRACKS + 1];
    int64_t left = data_bytes, run_bytes[FOV_MOST_TRACKS + 1];
    int runs = 0;
    for (int64_t start = 0, stop; start < count; start = stop) {
        int id = (int)fov_row(rows, start, FOV_ROW_TRACK);
        const fov_track *track = fov_find_track(tracks, known, id);
        const uint8_t *mine = rows + start * FOV_ROW_BYTES;
        int64_t first, taken = 0;
        *unknown = id;
        for (stop = start; stop < count && (int)fov_row(rows, stop, FOV_ROW_TRACK) == id; stop++)
            taken += (int64_t)fov_row(rows, stop, FOV_ROW_SIZE);
        if (!track || runs == FOV_MOST_TRACKS) return 0;
        if (track->as_one) taken = left;
        uint8_t *trun = at + FOV_TRAF_BYTES;
        int64_t samples = fov_samples(track, mine, stop - start, taken, base_ns, trun, scratch, &first);
        uint64_t trun_bytes = 20 + FOV_TRUN_ROW_BYTES * (uint64_t)samples;
        if (!runs) { /* the first run is the reference of the clock */
            int64_t time_ns = (int64_t)fov_row(rows, 0, FOV_ROW_TIME), seconds = time_ns / 1000000000, rest = time_ns % 1000000000;
            uint32_t offset;
            if (rest < 0) {
                rest += 1000000000;
                seconds--;
            }
            memcpy(&offset, trun + 12, 4);
            int64_t media = first + (int32_t)FOV_BSWAP32(offset);
            uint8_t *prft = fov_put_kind(fov_put_be(out, FOV_PRFT_BYTES, 4), "prft");
            prft = fov_put_be(prft, 0x01000018, 4); /* version 1; the time is that of capture */
            prft = fov_put_be(prft, (uint64_t)id, 4);
            prft = fov_put_be(prft, ((uint64_t)seconds + FOV_NTP_EPOCH_S) << 32 | ((uint64_t)rest << 32) / 1000000000, 8);
            fov_put_be(prft, media < 0 ? 0 : (uint64_t)media, 8);
        }
        at = fov_put_kind(fov_put_be(at, FOV_TRAF_BYTES - 20 + trun_bytes, 4), "traf");
        at = fov_put_kind(fov_put_be(at, 16, 4), "tfhd");
        at = fov_put_be(fov_put_be(at, 0x020000, 4), (uint64_t)id, 4); /* offsets count from the moof */
        at = fov_put_kind(fov_put_be(at, 20, 4), "tfdt");
        at = fov_put_be(fov_put_be(at, 1 << 24, 4), (uint64_t)first, 8);
        at = fov_put_kind(fov_put_be(at, trun_bytes, 4), "trun");
        at = fov_put_be(at, 0x01000F01, 4); /* version 1; data offset; duration, size, flags, composition offset */
        at = fov_put_be(at, (uint64_t)samples, 4);
        data_at[runs] = at;
        run_bytes[runs++] = taken;
        at = trun + FOV_TRUN_ROW_BYTES * samples;
        left -= taken;
    }
    uint64_t moof_bytes = (uint64_t)(at - moof), place = moof_bytes + FOV_MDAT_BYTES;
    for (int run = 0; run < runs; run++) {
        fov_put_be(data_at[run], place, 4);
        place += (uint64_t)run_bytes[run];
    }
    fov_put_kind(fov_put_be(moof, moof_bytes, 4), "moof");
    fov_put_kind(fov_put_be(moof + 8, 16, 4), "mfhd");
    fov_put_be(fov_put_be(moof + 16, 0, 4), sequence, 4);
    at = fov_put_kind(fov_put_be(at, FOV_MDAT_BYTES + (uint64_t)data_bytes, 4), "mdat");
    return (size_t)(at - out);
}

#endif
