/* Frame tables as columns of small numbers, and as the rows of a `trun` box. Plain C, no Python.
 *
 * A row of a frame table (numpy dtype FRAME) is 47 bytes, little-endian, unaligned. Layout of the packed form:
 * docs/ref/segment.md. All sums wrap at 64 bits, so that every column comes back to the last bit.
 */
#ifndef FOV_COLUMNS_H
#define FOV_COLUMNS_H

#include "fov_port.h"

#include <stdlib.h>

enum {
    FOV_ROW_BYTES = 47,
    FOV_COLUMNS = 7,
    FOV_GROUP_BYTES = 14,
    FOV_GROUP_LIMIT = FOV_GROUP_BYTES + FOV_COLUMNS * 9,
    FOV_ROW_LIMIT = 8 * FOV_COLUMNS
};
enum { FOV_ROW_TIME = 0, FOV_ROW_DTS = 8, FOV_ROW_RECEIPT = 16, FOV_ROW_ERROR = 24, FOV_ROW_DIGEST = 32, FOV_ROW_SIZE = 40,
       FOV_ROW_TRACK = 44, FOV_ROW_FLAGS = 45, FOV_ROW_CLOCK = 46 };
/* How presentation times follow from decode times. */
enum { FOV_SAME = 0, FOV_SORTED = 1, FOV_APART = 2 };
/* Why a packed table cannot be read. */
enum { FOV_TABLE_OK = 0, FOV_TABLE_GROUP_CUT, FOV_TABLE_GROUP_LONG, FOV_TABLE_COLUMN_CUT, FOV_TABLE_MODE, FOV_TABLE_PLACE };

typedef struct {
    int64_t time;
    int64_t place;
} fov_ranked;

FOV_INLINE uint64_t fov_le(const uint8_t *at, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value |= (uint64_t)at[i] << 8 * i;
    return value;
}

FOV_INLINE void fov_put_le(uint8_t *at, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> 8 * i);
}

/* Bytes of an unsigned number, and of a signed one (none for 0). */
FOV_INLINE int fov_width(uint64_t value) {
    int bytes = 0;
    for (; value; value >>= 8) bytes++;
    return bytes;
}

FOV_INLINE int fov_signed_width(int64_t value) {
    uint64_t bits = (uint64_t)(value < 0 ? ~value : value);
    int count = 0;
    for (; bits; bits >>= 1) count++;
    return value ? count / 8 + 1 : 0;
}

static int fov_by_time(const void *a, const void *b) {
    const fov_ranked *x = (const fov_ranked *)a, *y = (const fov_ranked *)b;
    if (x->time != y->time) return x->time < y->time ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

static inline uint64_t fov_row(const uint8_t *rows, int64_t row, int field) {
    const uint8_t *at = rows + row * FOV_ROW_BYTES + field;
    return field < FOV_ROW_SIZE ? fov_le(at, 8) : field == FOV_ROW_SIZE ? fov_le(at, 4) : *at;
}

/* Fills `order`, of `count` numbers, with what turns decode times into presentation times; returns the mode. */
static inline int fov_order(const uint8_t *rows, int64_t count, uint64_t *order, fov_ranked *ranked) {
    uint64_t any = 0;
    for (int64_t i = 0; i < count; i++) any |= order[i] = fov_row(rows, i, FOV_ROW_TIME) - fov_row(rows, i, FOV_ROW_DTS);
    if (!any) return FOV_SAME;
    for (int64_t i = 0; i < count; i++) {
        ranked[i].time = (int64_t)fov_row(rows, i, FOV_ROW_TIME);
        ranked[i].place = i;
    }
    qsort(ranked, (size_t)count, sizeof *ranked, fov_by_time);
    for (int64_t i = 0; i < count; i++)
        if (ranked[i].time != (int64_t)fov_row(rows, i, FOV_ROW_DTS)) return FOV_APART;
    for (int64_t i = 0; i < count; i++) order[ranked[i].place] = (uint64_t)(i - ranked[i].place);
    return FOV_SORTED;
}

/* Packs `count` > 0 rows of one track. `column` has room for count numbers, `ranked` for count pairs, `out` for
 * FOV_GROUP_LIMIT + count * FOV_ROW_LIMIT bytes. Returns the bytes written. */
static inline size_t fov_group_encode(const uint8_t *rows, int64_t count, uint64_t *column, fov_ranked *ranked, uint8_t *out) {
    static const int fields[FOV_COLUMNS] = {FOV_ROW_DTS,  FOV_ROW_TIME,  FOV_ROW_RECEIPT, FOV_ROW_ERROR,
                                            FOV_ROW_SIZE, FOV_ROW_FLAGS, FOV_ROW_CLOCK};
    uint8_t *at = out + FOV_GROUP_BYTES;
    out[0] = (uint8_t)fov_row(rows, 0, FOV_ROW_TRACK);
    fov_put_le(out + 2, (uint64_t)count, 4);
    fov_put_le(out + 6, fov_row(rows, 0, FOV_ROW_DTS), 8);
    for (int number = 0; number < FOV_COLUMNS; number++) {
        int field = fields[number];
        if (field == FOV_ROW_TIME) {
            out[1] = (uint8_t)fov_order(rows, count, column, ranked);
        } else if (field == FOV_ROW_DTS) {
            for (int64_t i = 1; i < count; i++) column[i] = fov_row(rows, i, field) - fov_row(rows, i - 1, field);
            column[0] = count > 1 ? column[1] : 0;
        } else if (field == FOV_ROW_RECEIPT) {
            for (int64_t i = 0; i < count; i++) column[i] = fov_row(rows, i, field) - fov_row(rows, i, FOV_ROW_DTS);
        } else {
            for (int64_t i = 0; i < count; i++) column[i] = fov_row(rows, i, field);
        }
        int64_t low = (int64_t)column[0];
        for (int64_t i = 1; i < count; i++)
            if ((int64_t)column[i] < low) low = (int64_t)column[i];
        uint64_t high = 0;
        for (int64_t i = 0; i < count; i++) {
            column[i] -= (uint64_t)low;
            if (column[i] > high) high = column[i];
        }
        int width = fov_width(high), low_width = fov_signed_width(low);
        *at++ = (uint8_t)(low_width << 4 | width);
        fov_put_le(at, (uint64_t)low, low_width);
        at += low_width;
        for (int plane = 0; plane < width; plane++)
            for (int64_t i = 0; i < count; i++) *at++ = (uint8_t)(column[i] >> 8 * plane);
    }
    return (size_t)(at - out);
}

typedef struct {
    const uint8_t *planes;
    uint64_t low;
    int width;
} fov_packed;

FOV_INLINE uint64_t fov_unpack(const fov_packed *column, int64_t count, int64_t row) {
    uint64_t above = 0;
    for (int plane = 0; plane < column->width; plane++) above |= (uint64_t)column->planes[plane * count + row] << 8 * plane;
    return above + column->low;
}

/* Unpacks the group at body[*at], of at most `left` rows; moves *at behind it and tells how many rows it has. Digests
 * are not part of it. Returns FOV_TABLE_OK or why not; *count is what the group says once it is known. */
static inline int fov_group_decode(const uint8_t *body, size_t size, size_t *at, uint8_t *rows, int64_t left, int64_t *count) {
    fov_packed columns[FOV_COLUMNS];
    const uint8_t *head = body + *at;
    *count = 0;
    if (size - *at < FOV_GROUP_BYTES) return FOV_TABLE_GROUP_CUT;
    int64_t number = (int64_t)fov_le(head + 2, 4);
    *count = number;
    if (number < 1 || number > left) return FOV_TABLE_GROUP_LONG;
    size_t here = *at + FOV_GROUP_BYTES;
    for (int i = 0; i < FOV_COLUMNS; i++) {
        if (here >= size) return FOV_TABLE_COLUMN_CUT;
        int low_width = body[here] >> 4, width = body[here] & 15;
        here++;
        if (low_width > 8 || width > 8) return FOV_TABLE_COLUMN_CUT;
        if ((uint64_t)low_width + (uint64_t)width * (uint64_t)number > size - here) return FOV_TABLE_COLUMN_CUT;
        uint64_t low = fov_le(body + here, low_width);
        if (low_width && low_width < 8 && low >> (8 * low_width - 1)) low |= ~(uint64_t)0 << 8 * low_width;
        here += (size_t)low_width;
        columns[i].planes = body + here;
        columns[i].low = low;
        columns[i].width = width;
        here += (size_t)width * (size_t)number;
    }
    int mode = head[1];
    if (mode > FOV_APART) return FOV_TABLE_MODE;
    uint64_t dts = fov_le(head + 6, 8);
    for (int64_t i = 0; i < number; i++) {
        uint8_t *row = rows + i * FOV_ROW_BYTES;
        if (i) dts += fov_unpack(&columns[0], number, i);
        fov_put_le(row + FOV_ROW_DTS, dts, 8);
        if (mode != FOV_SORTED)
            fov_put_le(row + FOV_ROW_TIME, mode == FOV_SAME ? dts : dts + fov_unpack(&columns[1], number, i), 8);
        fov_put_le(row + FOV_ROW_RECEIPT, dts + fov_unpack(&columns[2], number, i), 8);
        fov_put_le(row + FOV_ROW_ERROR, fov_unpack(&columns[3], number, i), 8);
        fov_put_le(row + FOV_ROW_SIZE, fov_unpack(&columns[4], number, i), 4);
        row[FOV_ROW_TRACK] = head[0];
        row[FOV_ROW_FLAGS] = (uint8_t)fov_unpack(&columns[5], number, i);
        row[FOV_ROW_CLOCK] = (uint8_t)fov_unpack(&columns[6], number, i);
    }
    if (mode == FOV_SORTED)
        for (int64_t i = 0; i < number; i++) {
            uint64_t place = (uint64_t)i + fov_unpack(&columns[1], number, i);
            if (place >= (uint64_t)number) return FOV_TABLE_PLACE;
            fov_put_le(rows + i * FOV_ROW_BYTES + FOV_ROW_TIME, fov_row(rows, (int64_t)place, FOV_ROW_DTS), 8);
        }
    *at = here;
    return FOV_TABLE_OK;
}

/* round((time - base) * scale / 1e9), halves up, without overflow. */
FOV_INLINE int64_t fov_ticks(int64_t time_ns, int64_t base_ns, int64_t scale) {
    const int64_t second = 1000000000;
    int64_t since = (int64_t)((uint64_t)time_ns - (uint64_t)base_ns), whole = since / second, rest = since % second;
    if (rest < 0) {
        rest += second;
        whole--;
    }
    return (int64_t)((uint64_t)whole * (uint64_t)scale) + (rest * scale + second / 2) / second;
}

FOV_INLINE void fov_put_be32(uint8_t *at, int64_t value) {
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)((uint64_t)value >> (24 - 8 * i));
}

/* Rows of a trun: duration, size, flags, composition offset, big-endian; the last duration is left 0. Decode ticks are
 * never before 0 and rise from sample to sample. delay: added to composition offsets; < 0 = all of them are 0.
 * Returns the first decode tick. */
static inline int64_t fov_trun_rows(const uint8_t *rows, int64_t count, int64_t base_ns, int64_t scale, int64_t delay,
                                    uint32_t sync, uint32_t other, uint8_t *out) {
    const int64_t most = 0x7fffffff;
    int64_t first = 0, before = 0;
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *row = rows + i * FOV_ROW_BYTES;
        int64_t decode = fov_ticks((int64_t)fov_le(row + FOV_ROW_DTS, 8), base_ns, scale), offset = 0;
        if (decode < 0) decode = 0;
        if (i && decode < before + 1) decode = before + 1;
        before = decode;
        if (!i) first = decode;
        if (decode > first + most) decode = first + most;
        if (delay >= 0) {
            offset = fov_ticks((int64_t)fov_le(row + FOV_ROW_TIME, 8), base_ns, scale) - decode + delay;
            offset = offset > most ? most : offset < -most ? -most : offset;
        }
        fov_put_be32(out + 16 * i, decode); /* becomes a duration below */
        fov_put_be32(out + 16 * i + 4, (int64_t)fov_le(row + FOV_ROW_SIZE, 4));
        fov_put_be32(out + 16 * i + 8, row[FOV_ROW_FLAGS] & 1 ? sync : other);
        fov_put_be32(out + 16 * i + 12, offset);
    }
    for (int64_t i = 0; i < count; i++) {
        uint32_t here, next = 0;
        memcpy(&here, out + 16 * i, 4);
        if (i + 1 < count) memcpy(&next, out + 16 * (i + 1), 4);
        uint32_t lasts = i + 1 < count ? FOV_BSWAP32(next) - FOV_BSWAP32(here) : 0;
        fov_put_be32(out + 16 * i, lasts);
    }
    return first;
}

#endif
