"""Sums over frame tables, in one pass each (see the .pyi for the interface)."""

from cpython.buffer cimport PyBUF_ND, PyBUF_STRIDES, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint8_t, uint64_t

cdef extern from "fov_columns.h" nogil:
    enum:
        FOV_ROW_BYTES
        FOV_ROW_TIME
        FOV_ROW_DTS
        FOV_ROW_SIZE
        FOV_ROW_TRACK
        FOV_ROW_FLAGS
    uint64_t fov_le(const uint8_t* at, int bytes)

cdef enum:
    METADATA_TRACK = 3

ROW_BYTES = FOV_ROW_BYTES


cdef int open_rows(frames, Py_buffer* view) except -1:
    PyObject_GetBuffer(frames, view, PyBUF_STRIDES)
    if view.ndim != 1 or view.itemsize != FOV_ROW_BYTES:
        PyBuffer_Release(view)
        raise ValueError("not a frame table")
    return 0


def summary(frames, int track):
    cdef Py_buffer view
    cdef const uint8_t* row
    cdef int64_t count, index, mine = 0, first = -1, first_dts = 0, low = 0, high = 0, all_low = 0, all_high = 0
    cdef int64_t dts, time_ns, latest = 0, documents = 0
    cdef uint64_t size = 0
    cdef int first_flags = 0, before = 0
    cdef bint ordered = True
    open_rows(frames, &view)
    count = view.shape[0]
    for index in range(count):
        row = <const uint8_t*> view.buf + index * view.strides[0]
        dts = <int64_t> fov_le(row + FOV_ROW_DTS, 8)
        time_ns = <int64_t> fov_le(row + FOV_ROW_TIME, 8)
        size += fov_le(row + FOV_ROW_SIZE, 4)
        if index == 0:
            all_low = all_high = dts
            latest = time_ns
        all_low, all_high, latest = min(all_low, dts), max(all_high, dts), max(latest, time_ns)
        ordered = ordered and row[FOV_ROW_TRACK] >= before
        before = row[FOV_ROW_TRACK]
        documents += before == METADATA_TRACK
        if before == track:
            if first < 0:
                first, first_dts, first_flags = index, dts, row[FOV_ROW_FLAGS]
                low = high = dts
            low, high = min(low, dts), max(high, dts)
            mine += 1
    PyBuffer_Release(&view)
    return (count, mine, first, first_dts, first_flags, low, high, all_low, all_high, latest, size, ordered, documents)


def flagged(frames, int track, int flags):
    cdef Py_buffer view
    cdef const uint8_t* row
    cdef Py_ssize_t index
    cdef list found = []
    open_rows(frames, &view)
    for index in range(view.shape[0]):
        row = <const uint8_t*> view.buf + index * view.strides[0]
        if row[FOV_ROW_TRACK] == track and row[FOV_ROW_FLAGS] & flags:
            found.append(index)
    PyBuffer_Release(&view)
    return found
