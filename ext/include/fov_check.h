/* Whether the samples of a fragment are what its head and its frame table say. Plain C, no Python.
 *
 * Checksum and digests are computed in one pass, sample by sample, so that each is read from memory once.
 */
#ifndef FOV_CHECK_H
#define FOV_CHECK_H

#include "fov_columns.h"
#include "fov_crc32c.h"
#include "fov_nal.h"

/* What a track carries. PACKED: documents that lie together at the end, compressed: their digests are not looked at. */
enum { FOV_CARRIES_NONE = 0, FOV_CARRIES_PLAIN, FOV_CARRIES_H264, FOV_CARRIES_H265, FOV_CARRIES_PACKED };
enum { FOV_CHECK_OK = 0, FOV_CHECK_LONG, FOV_CHECK_TRACK, FOV_CHECK_DIGEST, FOV_CHECK_CRC };

/* REQUIRES fov_crc32c_init. carries: by track id. rows: of the frame table. */
static inline int fov_check_samples(const uint8_t *data, size_t size, uint32_t expected, const uint8_t *rows, int64_t count,
                                    const uint8_t carries[256]) {
    const uint8_t *at = data, *end = data + size;
    uint32_t crc = 0;
    int found = FOV_CHECK_OK;
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *row = rows + i * FOV_ROW_BYTES;
        int kind = carries[row[FOV_ROW_TRACK]];
        size_t length = (size_t)fov_le(row + FOV_ROW_SIZE, 4);
        uint64_t digest;
        if (kind == FOV_CARRIES_PACKED) continue;
        if (length > (size_t)(end - at)) {
            found = FOV_CHECK_LONG;
            break;
        }
        if (kind == FOV_CARRIES_NONE) {
            if (found == FOV_CHECK_OK) found = FOV_CHECK_TRACK;
        } else {
            digest = kind == FOV_CARRIES_PLAIN ? fov_xxh64_of(at, length) : fov_nal_digest(at, length, kind == FOV_CARRIES_H265);
            if (digest != fov_le(row + FOV_ROW_DIGEST, 8) && found == FOV_CHECK_OK) found = FOV_CHECK_DIGEST;
        }
        crc = fov_crc32c(crc, at, length);
        at += length;
    }
    crc = fov_crc32c(crc, at, (size_t)(end - at));
    return crc != expected ? FOV_CHECK_CRC : found;
}

#endif
