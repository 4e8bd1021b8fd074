/* A whole fragment of plain samples: head, frame table, boxes for players, samples, checksums. Plain C, no Python.
 *
 * The same bytes as fovideo.segment.compose writes, in one pass: each sample is copied while its checksum has it in the
 * cache. Notes, packed documents and tables long enough to be packed are not for here. Layout: docs/ref/segment.md.
 */
#ifndef FOV_FRAGMENT_H
#define FOV_FRAGMENT_H

#include "fov_boxes.h"
#include "fov_crc32c.h"

enum { FOV_FRAGMENT_HEAD = 68, FOV_FRAGMENT_CRC_AT = 24, FOV_FRAGMENT_VERSION = 1, FOV_FRAGMENT_KEY_START = 1 };
enum { FOV_TABLE_HEAD = 5, FOV_TABLE_VERSION = 1, FOV_TABLE_PLAIN_ROWS = 256 };
#define FOV_FRAGMENT_LARGEST 0xFFFF0000ll

typedef struct {
    uint64_t column[FOV_TABLE_PLAIN_ROWS];
    fov_ranked ranked[FOV_TABLE_PLAIN_ROWS];
    uint32_t durations[FOV_TABLE_PLAIN_ROWS];
} fov_scratch;

/* What does not change from fragment to fragment of a file. video: id of a track whose keyframes begin GOPs, 0 = none. */
typedef struct {
    const fov_track *tracks;
    int known, video;
    int64_t base_ns;
    uint32_t epoch;
} fov_file;

/* Bytes before the samples, at most. */
FOV_INLINE size_t fov_fragment_limit(int64_t rows) {
    return FOV_FRAGMENT_HEAD + FOV_TABLE_HEAD + (size_t)rows * (FOV_ROW_LIMIT + FOV_GROUP_LIMIT + 8) + fov_boxes_limit(rows);
}

/* The table of `count` rows, each track's together, not packed; returns its size. */
static inline size_t fov_table_encode(const uint8_t *rows, int64_t count, fov_scratch *scratch, uint8_t *out) {
    uint8_t *at = out;
    *at++ = FOV_TABLE_VERSION << 4;
    fov_put_le(at, (uint64_t)count, 4);
    at += 4;
    for (int64_t start = 0, stop; start < count; start = stop) {
        for (stop = start + 1; stop < count; stop++)
            if (fov_row(rows, stop, FOV_ROW_TRACK) != fov_row(rows, start, FOV_ROW_TRACK)) break;
        at += fov_group_encode(rows + start * FOV_ROW_BYTES, stop - start, scratch->column, scratch->ranked, at);
    }
    for (int64_t i = 0; i < count; i++, at += 8) memcpy(at, rows + i * FOV_ROW_BYTES + FOV_ROW_DIGEST, 8);
    return (size_t)(at - out);
}

/* Writes a fragment of `count` rows (1 to FOV_TABLE_PLAIN_ROWS, each track's together), whose samples lie at `samples` with
 * the sizes that the rows say. Returns its size, or 0 for what is not for here: rows of another track, or too many bytes. */
static inline size_t fov_fragment(const fov_file *file, const uint8_t *rows, int64_t count, const uint8_t *const *samples,
                                  uint32_t sequence, fov_scratch *scratch, uint8_t *out) {
    static const uint8_t uuid[16] = {0xf0, 0xb1, 0xd3, 0x0a, 0x6f, 0x76, 0x45, 0xc1,
                                     0x8c, 0x5e, 0x0f, 0x72, 0x61, 0x67, 0x6d, 0x31};
    int64_t data_bytes = 0;
    int unknown;
    for (int64_t i = 0; i < count; i++) data_bytes += (int64_t)fov_row(rows, i, FOV_ROW_SIZE);
    if (data_bytes > FOV_FRAGMENT_LARGEST) return 0;
    uint8_t *at = out + FOV_FRAGMENT_HEAD;
    size_t table_bytes = fov_table_encode(rows, count, scratch, at);
    at += table_bytes;
    size_t boxes = fov_boxes(rows, count, data_bytes, file->tracks, file->known, sequence, file->base_ns, at,
                             scratch->durations, &unknown);
    if (!boxes) return 0;
    at += boxes;
    size_t head_bytes = (size_t)(at - out);
    uint32_t crc = 0;
    for (int64_t i = 0; i < count; i++) {
        size_t size = (size_t)fov_row(rows, i, FOV_ROW_SIZE);
        crc = fov_crc32c(crc, samples[i], size);
        memcpy(at, samples[i], size);
        at += size;
    }
    int key = (int)fov_row(rows, 0, FOV_ROW_TRACK) == file->video && (fov_row(rows, 0, FOV_ROW_FLAGS) & 1);
    uint8_t *head = fov_put_kind(fov_put_be(out, FOV_FRAGMENT_HEAD + table_bytes, 4), "uuid");
    memcpy(head, uuid, sizeof uuid);
    head += sizeof uuid + 4;
    head = fov_put_be(head, FOV_FRAGMENT_VERSION, 1);
    head = fov_put_be(head, key ? FOV_FRAGMENT_KEY_START : 0, 1);
    head = fov_put_be(head, 0, 2);
    head = fov_put_be(head, table_bytes, 4);
    head = fov_put_be(head, 0, 4); /* notes */
    head = fov_put_be(head, head_bytes, 4);
    head = fov_put_be(head, (uint64_t)data_bytes, 8);
    head = fov_put_be(head, crc, 4);
    head = fov_put_be(head, (uint64_t)file->base_ns, 8);
    fov_put_be(head, file->epoch, 4);
    crc = fov_crc32c(0, out, FOV_FRAGMENT_CRC_AT);
    crc = fov_crc32c(crc, out + FOV_FRAGMENT_CRC_AT + 4, head_bytes - FOV_FRAGMENT_CRC_AT - 4);
    fov_put_be(out + FOV_FRAGMENT_CRC_AT, crc, 4);
    return (size_t)(at - out);
}

#endif
