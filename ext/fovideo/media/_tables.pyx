"""Sums over frame tables, in one pass each (see the .pyi for the interface)."""

from cpython.buffer cimport PyBUF_ND, PyBUF_STRIDES, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc, qsort

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
    cdef int64_t last = 0
    cdef bint ordered = True, rising = True
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
                low = high = last = dts
            rising = rising and dts >= last
            last = dts
            low, high = min(low, dts), max(high, dts)
            mine += 1
    PyBuffer_Release(&view)
    return (count, mine, first, first_dts, first_flags, low, high, all_low, all_high, latest, size, ordered, documents,
            rising)


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


cdef int ascending(const void* a, const void* b) noexcept nogil:
    cdef int64_t x = (<const int64_t*> a)[0], y = (<const int64_t*> b)[0]
    return (x > y) - (x < y)


cdef int64_t column(const Py_buffer* view, int track, int field, int64_t* out) noexcept nogil:
    """The values of a field in the track's rows; how many."""
    cdef const uint8_t* row
    cdef int64_t index, count = 0
    for index in range(view.shape[0]):
        row = <const uint8_t*> view.buf + index * view.strides[0]
        if row[FOV_ROW_TRACK] == track:
            out[count] = <int64_t> fov_le(row + field, 8 if field < FOV_ROW_SIZE else 1)
            count += 1
    return count


def middle_step(frames, int track, before, int64_t least):
    cdef Py_buffer view
    cdef int64_t* values
    cdef int64_t count, total = 0, begin, index, positive = 0, result = 0
    cdef list old = list(before)
    open_rows(frames, &view)
    values = <int64_t*> malloc((view.shape[0] + len(old) + 1) * sizeof(int64_t))
    try:
        if values == NULL:
            raise MemoryError
        for step in old:
            values[total] = step
            total += 1
        count = column(&view, track, FOV_ROW_DTS, values + total)
        for index in range(total, total + count - 1):
            values[index] = values[index + 1] - values[index]
        total += max(count - 1, 0)
        begin = max(total - max(count - 1, least), 0)
        for index in range(begin, total):
            if values[index] > 0:
                values[positive] = values[index]
                positive += 1
        if positive:
            qsort(values, positive, sizeof(int64_t), ascending)
            result = values[(positive - 1) // 2]
        return result
    finally:
        free(values)
        PyBuffer_Release(&view)


def last_steps(tables, int track, int64_t next_ns, int64_t longest, before, Py_ssize_t most):
    cdef Py_buffer view
    cdef int64_t* values = NULL
    cdef int64_t count, index, last = 0, step
    cdef bint any = False
    cdef list found = list(before)
    for frames in tables:
        open_rows(frames, &view)
        values = <int64_t*> malloc((view.shape[0] + 1) * sizeof(int64_t))
        if values == NULL:
            PyBuffer_Release(&view)
            raise MemoryError
        count = column(&view, track, FOV_ROW_DTS, values)
        PyBuffer_Release(&view)
        for index in range(count):
            step = values[index] - last
            if any and -longest <= step <= longest:
                found.append(step)
            any, last = True, values[index]
        free(values)
    step = next_ns - last
    if any and -longest <= step <= longest:
        found.append(step)
    return found[-most:] if most < len(found) else found


def has_gaps(frames, int track, int lost_flag, int64_t longest_ns, int64_t longest_lost_ns):
    cdef Py_buffer view
    cdef int64_t* times = NULL
    cdef int64_t* flags
    cdef int64_t* dts
    cdef int64_t count, index
    cdef bint result = False
    open_rows(frames, &view)
    try:
        times = <int64_t*> malloc((3 * view.shape[0] + 1) * sizeof(int64_t))
        if times == NULL:
            raise MemoryError
        flags, dts = times + view.shape[0], times + 2 * view.shape[0]
        count = column(&view, track, FOV_ROW_TIME, times)
        column(&view, track, FOV_ROW_FLAGS, flags)
        column(&view, track, FOV_ROW_DTS, dts)
        qsort(times, count, sizeof(int64_t), ascending)
        for index in range(count):
            if times[index] != dts[index]:
                result = True
            elif index and times[index] - times[index - 1] > (longest_lost_ns if flags[index] & lost_flag
                                                              else longest_ns):
                result = True
        return result
    finally:
        free(times)
        PyBuffer_Release(&view)
