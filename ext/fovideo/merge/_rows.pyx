"""Rows of an index as columns of numbers (see the .pyi for the interface)."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_Check, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint64_t

from fovideo.media._nalh cimport fov_xxh64_of

cdef extern from "fov_columns.h" nogil:
    uint64_t fov_le(const uint8_t* at, int bytes)

cdef enum:
    HEAD = 5  # version and packing, rows: docs/ref/segment.md

START, END, INTERVAL, FRAMES, FLAGS, PROVENANCE, EPOCH, SHIFT, SAMPLES, KEY, CONTENT = range(11)
COLUMNS = 11


def columns(rows, int64_t[:, ::1] out) -> None:
    cdef Py_ssize_t number = 0, size
    cdef const uint8_t* data
    cdef uint64_t count
    cdef int64_t* at
    if out.shape[0] != len(rows) or out.shape[1] != 11:
        raise ValueError(f"{len(rows)} rows do not fit an array of {out.shape[0]} x {out.shape[1]}")
    for row in rows:
        at = &out[number, 0]
        at[0] = row.start_ns
        at[1] = row.end_ns
        at[2] = row.interval_ns
        at[3] = row.frames
        at[4] = row.flags
        at[5] = row.provenance
        at[6] = row.epoch
        at[7] = row.shift_ns
        at[8] = at[9] = at[10] = 0
        table = row.table
        if PyBytes_Check(table):
            data = <const uint8_t*> PyBytes_AS_STRING(table)
            size = PyBytes_GET_SIZE(table)
            if size >= HEAD:
                count = fov_le(data + 1, 4)
                if count and 8 * count <= <uint64_t> (size - HEAD):
                    at[8] = <int64_t> count
                    at[9] = <int64_t> fov_le(data + size - 8 * count, 8)
                    at[10] = <int64_t> fov_xxh64_of(data + size - 8 * count, 8 * count)
        number += 1
