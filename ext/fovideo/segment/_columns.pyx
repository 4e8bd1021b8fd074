"""Frame tables to columns and back, and to the boxes before samples (see the .pyi for the interface)."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from fovideo.segment._tracks cimport FOV_MOST_TRACKS, fov_boxes_limit, fov_track, read_tracks

cdef extern from "fov_columns.h" nogil:
    enum:
        FOV_ROW_BYTES
        FOV_ROW_TRACK
        FOV_ROW_LIMIT
        FOV_GROUP_LIMIT
        FOV_TABLE_OK
        FOV_TABLE_GROUP_CUT
        FOV_TABLE_GROUP_LONG
        FOV_TABLE_COLUMN_CUT
        FOV_TABLE_MODE
    ctypedef struct fov_ranked:
        int64_t place
    size_t fov_group_encode(const uint8_t* rows, int64_t count, uint64_t* column, fov_ranked* ranked, uint8_t* out)
    int fov_group_decode(const uint8_t* body, size_t size, size_t* at, uint8_t* rows, int64_t left, int64_t* count)

cdef extern from "fov_boxes.h" nogil:
    size_t fov_boxes(const uint8_t* rows, int64_t count, int64_t data_bytes, const fov_track* tracks, int known,
                     uint32_t sequence, int64_t base_ns, uint8_t* out, uint32_t* scratch, int* unknown)

ROW_BYTES = FOV_ROW_BYTES


cdef int64_t need_rows(Py_buffer* view) except -1:
    if view.len % FOV_ROW_BYTES:
        raise ValueError(f"not a frame table: {view.len} bytes")
    return view.len // FOV_ROW_BYTES


def encode(frames) -> bytes:
    cdef Py_buffer view
    cdef int64_t count, start = 0, stop
    cdef size_t size = 0
    cdef uint64_t* column = NULL
    cdef fov_ranked* ranked = NULL
    cdef uint8_t* out = NULL
    cdef const uint8_t* rows
    PyObject_GetBuffer(frames, &view, PyBUF_SIMPLE)
    try:
        count = need_rows(&view)
        rows = <const uint8_t*> view.buf
        column = <uint64_t*> malloc((count + 1) * sizeof(uint64_t))
        ranked = <fov_ranked*> malloc((count + 1) * sizeof(fov_ranked))
        # A group may be as short as one row.
        out = <uint8_t*> malloc((count + 1) * (FOV_ROW_LIMIT + FOV_GROUP_LIMIT))
        if column == NULL or ranked == NULL or out == NULL:
            raise MemoryError
        while start < count:
            stop = start + 1
            while stop < count and (rows[stop * FOV_ROW_BYTES + FOV_ROW_TRACK]
                                    == rows[start * FOV_ROW_BYTES + FOV_ROW_TRACK]):
                stop += 1
            size += fov_group_encode(rows + start * FOV_ROW_BYTES, stop - start, column, ranked, out + size)
            start = stop
        return PyBytes_FromStringAndSize(<char*> out, size)
    finally:
        free(column)
        free(ranked)
        free(out)
        PyBuffer_Release(&view)


def decode(body, frames) -> None:
    cdef Py_buffer packed, view
    cdef size_t at = 0
    cdef int64_t count, row = 0, group
    cdef int code
    PyObject_GetBuffer(body, &packed, PyBUF_SIMPLE)
    try:
        PyObject_GetBuffer(frames, &view, PyBUF_SIMPLE | PyBUF_WRITABLE)
        try:
            count = need_rows(&view)
            while row < count:
                code = fov_group_decode(<const uint8_t*> packed.buf, packed.len, &at,
                                        <uint8_t*> view.buf + row * FOV_ROW_BYTES, count - row, &group)
                if code == FOV_TABLE_GROUP_CUT:
                    raise ValueError("a group is cut off")
                if code == FOV_TABLE_GROUP_LONG:
                    raise ValueError(f"a group of {group} rows where {count - row} are left")
                if code == FOV_TABLE_COLUMN_CUT:
                    raise ValueError("a column is cut off")
                if code == FOV_TABLE_MODE:
                    raise ValueError("an order that is unknown")
                if code != FOV_TABLE_OK:
                    raise ValueError("a frame is ordered outside its group")
                row += group
            if at != <size_t> packed.len:
                raise ValueError("bytes are left over")
        finally:
            PyBuffer_Release(&view)
    finally:
        PyBuffer_Release(&packed)


def boxes(frames, tracks, int64_t data_bytes, uint32_t sequence, int64_t base_ns) -> bytes:
    cdef Py_buffer view
    cdef fov_track known[FOV_MOST_TRACKS]
    cdef int64_t count
    cdef int number, unknown = 0
    cdef size_t size = 0
    cdef uint8_t* out = NULL
    cdef uint32_t* scratch = NULL
    number = read_tracks(tracks, known)
    PyObject_GetBuffer(frames, &view, PyBUF_SIMPLE)
    try:
        count = need_rows(&view)
        if count == 0:
            return b""
        out = <uint8_t*> malloc(fov_boxes_limit(count))
        scratch = <uint32_t*> malloc(count * sizeof(uint32_t))
        if out == NULL or scratch == NULL:
            raise MemoryError
        size = fov_boxes(<const uint8_t*> view.buf, count, data_bytes, known, number, sequence, base_ns, out, scratch,
                         &unknown)
        if size == 0:
            raise KeyError(unknown)
        return PyBytes_FromStringAndSize(<char*> out, size)
    finally:
        free(out)
        free(scratch)
        PyBuffer_Release(&view)
