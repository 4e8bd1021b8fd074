/* Fragments that lie one behind the other in memory, checked all through and made to fit another file. Plain C, no Python.
 *
 * What this does is fovideo.segment.parse_fragment, fovideo.store.parts.verify and fovideo.segment.relocate in one pass,
 * while the samples are in the cache. It takes the usual fragments only and reports no reasons: whatever it stops at is
 * left to those functions, which know every case and say what is wrong.
 */
#ifndef FOV_MOVE_H
#define FOV_MOVE_H

#include "fov_boxes.h"
#include "fov_check.h"

/* The head of a fragment: docs/ref/segment.md. */
enum { FOV_HEAD_BYTES = 68, FOV_HEAD_CRC = 24, FOV_HEAD_VERSION = 28, FOV_HEAD_FLAGS = 29, FOV_HEAD_TABLE = 32,
       FOV_HEAD_NOTES = 36, FOV_HEAD_SIZE = 40, FOV_HEAD_DATA = 44, FOV_HEAD_DATA_CRC = 52, FOV_HEAD_BASE = 56,
       FOV_HEAD_EPOCH = 64 };
enum { FOV_TABLE_HEAD_BYTES = 5, FOV_TABLE_RAW = 0x10, FOV_FRAGMENT_LARGEST = 0x7fff0000 };

typedef struct {
    size_t at, size, head_bytes; /* in the buffer; of all boxes, of those before the samples */
    size_t box_bytes;            /* of the first box, which is ours */
    int64_t rows;
    uint32_t data_crc;
    int flags;
    const uint8_t *table;
    size_t table_bytes;
} fov_fragment;

FOV_INLINE uint64_t fov_be(const uint8_t *at, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value = value << 8 | at[i];
    return value;
}

FOV_INLINE uint32_t fov_head_crc(const uint8_t *head, size_t bytes) {
    return fov_crc32c(fov_crc32c(0, head, FOV_HEAD_CRC), head + FOV_HEAD_CRC + 4, bytes - FOV_HEAD_CRC - 4);
}

/* What the head at data + at says; 0 if it is not one of the usual ones, or not whole, or not sound. */
static inline int fov_fragment_at(const uint8_t *data, size_t size, size_t at, const uint8_t uuid[16], int version,
                                  fov_fragment *out) {
    const uint8_t *head = data + at;
    size_t left = size - at;
    if (left < FOV_HEAD_BYTES || memcmp(head + 4, "uuid", 4) || memcmp(head + 8, uuid, 16)) return 0;
    size_t box = (size_t)fov_be(head, 4), bytes = (size_t)fov_be(head + FOV_HEAD_SIZE, 4);
    size_t table = (size_t)fov_be(head + FOV_HEAD_TABLE, 4), notes = (size_t)fov_be(head + FOV_HEAD_NOTES, 4);
    uint64_t samples = fov_be(head + FOV_HEAD_DATA, 8);
    if (head[FOV_HEAD_VERSION] != version || notes || box != FOV_HEAD_BYTES + table || box > bytes || bytes > left) return 0;
    if (samples > left - bytes || samples > FOV_FRAGMENT_LARGEST) return 0;
    if (fov_head_crc(head, bytes) != (uint32_t)fov_be(head + FOV_HEAD_CRC, 4)) return 0;
    const uint8_t *columns = head + FOV_HEAD_BYTES;
    if (table < FOV_TABLE_HEAD_BYTES || columns[0] != FOV_TABLE_RAW) return 0;
    uint64_t rows = fov_le(columns + 1, 4);
    if (!rows || 8 * rows > table - FOV_TABLE_HEAD_BYTES) return 0;
    out->at = at;
    out->size = bytes + (size_t)samples;
    out->head_bytes = bytes;
    out->box_bytes = box;
    out->rows = (int64_t)rows;
    out->data_crc = (uint32_t)fov_be(head + FOV_HEAD_DATA_CRC, 4);
    out->flags = head[FOV_HEAD_FLAGS];
    out->table = columns;
    out->table_bytes = table;
    return 1;
}

/* Unpacks the frame table; 0 if it is none. */
static inline int fov_fragment_table(const fov_fragment *fragment, uint8_t *rows) {
    size_t at = 0, digests_at = fragment->table_bytes - 8 * (size_t)fragment->rows;
    const uint8_t *body = fragment->table + FOV_TABLE_HEAD_BYTES, *digests = fragment->table + digests_at;
    size_t body_bytes = digests_at - FOV_TABLE_HEAD_BYTES;
    int64_t row = 0, group;
    while (row < fragment->rows) {
        if (fov_group_decode(body, body_bytes, &at, rows + row * FOV_ROW_BYTES, fragment->rows - row, &group) != FOV_TABLE_OK)
            return 0;
        row += group;
    }
    if (at != body_bytes) return 0;
    for (row = 0; row < fragment->rows; row++) memcpy(rows + row * FOV_ROW_BYTES + FOV_ROW_DIGEST, digests + 8 * row, 8);
    return 1;
}

/* Checks the samples and writes the head for a file whose clock counts from base_ns. Returns 0, with nothing changed, if
 * they are not what they should be, or the new head has another length. room: fov_boxes_limit(rows) bytes; scratch: rows
 * numbers. */
static inline int fov_fragment_move(uint8_t *data, const fov_fragment *fragment, const uint8_t *rows, const uint8_t carries[256],
                                    const fov_track *tracks, int known, uint32_t sequence, int64_t base_ns, uint32_t epoch,
                                    uint8_t *room, uint32_t *scratch) {
    uint8_t *head = data + fragment->at;
    size_t data_bytes = fragment->size - fragment->head_bytes, boxes;
    int unknown;
    if (fov_check_samples(head + fragment->head_bytes, data_bytes, fragment->data_crc, rows, fragment->rows, carries))
        return 0;
    boxes = fov_boxes(rows, fragment->rows, (int64_t)data_bytes, tracks, known, sequence, base_ns, room, scratch, &unknown);
    if (!boxes || fragment->box_bytes + boxes != fragment->head_bytes) return 0;
    memcpy(head + fragment->box_bytes, room, boxes);
    fov_put_be(head + FOV_HEAD_BASE, (uint64_t)base_ns, 8);
    fov_put_be(head + FOV_HEAD_EPOCH, epoch, 4);
    fov_put_be(head + FOV_HEAD_CRC, fov_head_crc(head, fragment->head_bytes), 4);
    return 1;
}

#endif
