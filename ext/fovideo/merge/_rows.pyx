"""Rows of an index as columns of numbers (see the .pyi for the interface)."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_Check, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free

from fovideo.media._nalh cimport fov_xxh64_of

cdef extern from "fov_columns.h" nogil:
    uint64_t fov_le(const uint8_t* at, int bytes)

cdef enum:
    HEAD = 5  # version and packing, rows: docs/ref/segment.md

START, END, INTERVAL, FRAMES, FLAGS, PROVENANCE, EPOCH, SHIFT, SAMPLES, KEY, CONTENT = range(11)
COLUMNS = 11


cdef struct Slot:
    int64_t key
    int64_t place  # 1 more than the row's; 0 = free, negative = several rows


cdef inline Slot* slot_of(Slot* slots, uint64_t mask, int64_t key) noexcept nogil:
    """The slot of a key, or the free one where it belongs. Keys may be anything: they are spread first."""
    cdef uint64_t at = (<uint64_t> key * 0x9E3779B97F4A7C15ULL) >> 20
    while slots[at & mask].place != 0 and slots[at & mask].key != key:
        at += 1
    return &slots[at & mask]


cdef Slot* slots_of(const int64_t[:] keys, uint64_t* mask) except NULL:
    """A table of the keys, at most half full."""
    cdef uint64_t size = 16
    cdef Slot* slots
    cdef Slot* slot
    cdef int64_t number
    while size < 2 * <uint64_t> keys.shape[0]:
        size *= 2
    slots = <Slot*> calloc(size, sizeof(Slot))
    if slots == NULL:
        raise MemoryError
    mask[0] = size - 1
    with nogil:
        for number in range(keys.shape[0]):
            slot = slot_of(slots, mask[0], keys[number])
            slot.place = number + 1 if slot.place == 0 else -1
            slot.key = keys[number]
    return slots


def partners(const int64_t[:] keys, const int64_t[:] theirs, int64_t[::1] partner) -> None:
    cdef uint64_t mask, their_mask
    cdef Slot* slots = NULL
    cdef Slot* their_slots = NULL
    cdef int64_t number, place
    if partner.shape[0] != keys.shape[0]:
        raise ValueError("columns of different lengths")
    try:
        slots = slots_of(keys, &mask)
        their_slots = slots_of(theirs, &their_mask)
        with nogil:
            for number in range(keys.shape[0]):
                partner[number] = -1
                if slot_of(slots, mask, keys[number]).place > 0:
                    place = slot_of(their_slots, their_mask, keys[number]).place
                    if place > 0:
                        partner[number] = place - 1
    finally:
        free(slots)
        free(their_slots)


def columns(rows, int64_t[::1, :] out) -> None:
    cdef Py_ssize_t number = 0, size
    cdef const uint8_t* data
    cdef uint64_t count
    if out.shape[0] != len(rows) or out.shape[1] != 11:
        raise ValueError(f"{len(rows)} rows do not fit an array of {out.shape[0]} x {out.shape[1]}")
    for row in rows:
        out[number, 0] = row.start_ns
        out[number, 1] = row.end_ns
        out[number, 2] = row.interval_ns
        out[number, 3] = row.frames
        out[number, 4] = row.flags
        out[number, 5] = row.provenance
        out[number, 6] = row.epoch
        out[number, 7] = row.shift_ns
        out[number, 8] = out[number, 9] = out[number, 10] = 0
        table = row.table
        if PyBytes_Check(table):
            data = <const uint8_t*> PyBytes_AS_STRING(table)
            size = PyBytes_GET_SIZE(table)
            if size >= HEAD:
                count = fov_le(data + 1, 4)
                if count and 8 * count <= <uint64_t> (size - HEAD):
                    out[number, 8] = <int64_t> count
                    out[number, 9] = <int64_t> fov_le(data + size - 8 * count, 8)
                    out[number, 10] = <int64_t> fov_xxh64_of(data + size - 8 * count, 8 * count)
        number += 1
