"""Frame tables to columns and back, and to the boxes before samples (see the .pyi for the interface)."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_Check, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport UINT32_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from fovideo.segment._tracks cimport FOV_MOST_TRACKS, fov_boxes_limit, fov_track, read_tracks

cdef extern from "fov_columns.h" nogil:
    enum:
        FOV_ROW_BYTES
        FOV_ROW_DIGEST
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
    uint64_t fov_le(const uint8_t* at, int bytes)
    void fov_put_le(uint8_t* at, uint64_t value, int bytes)
    int fov_group_decode(const uint8_t* body, size_t size, size_t* at, uint8_t* rows, int64_t left, int64_t* count)

cdef extern from "fov_boxes.h" nogil:
    size_t fov_boxes(const uint8_t* rows, int64_t count, int64_t data_bytes, const fov_track* tracks, int known,
                     uint32_t sequence, int64_t base_ns, uint8_t* out, uint32_t* scratch, int* unknown)

cdef enum:
    HEAD = 5  # version and packing, rows: docs/ref/segment.md
    RAW = 0x10  # of the version that is known
    ZSTD = 0x11

ROW_BYTES = FOV_ROW_BYTES


cdef int64_t need_rows(Py_buffer* view) except -1:
    if view.len % FOV_ROW_BYTES:
        raise ValueError(f"not a frame table: {view.len} bytes")
    return view.len // FOV_ROW_BYTES


def table(frames) -> bytes:
    cdef Py_buffer view
    cdef int64_t count, start = 0, stop, row
    cdef size_t size = HEAD
    cdef uint64_t* column = NULL
    cdef fov_ranked* ranked = NULL
    cdef uint8_t* out = NULL
    cdef const uint8_t* rows
    PyObject_GetBuffer(frames, &view, PyBUF_SIMPLE)
    try:
        count = need_rows(&view)
        if count > <int64_t> UINT32_MAX:
            raise ValueError(f"a table of {count} rows")
        rows = <const uint8_t*> view.buf
        column = <uint64_t*> malloc((count + 1) * sizeof(uint64_t))
        ranked = <fov_ranked*> malloc((count + 1) * sizeof(fov_ranked))
        # A group may be as short as one row.
        out = <uint8_t*> malloc(HEAD + (count + 1) * (FOV_ROW_LIMIT + FOV_GROUP_LIMIT + 8))
        if column == NULL or ranked == NULL or out == NULL:
            raise MemoryError
        out[0] = RAW
        fov_put_le(out + 1, <uint64_t> count, 4)
        while start < count:
            stop = start + 1
            while stop < count and (rows[stop * FOV_ROW_BYTES + FOV_ROW_TRACK]
                                    == rows[start * FOV_ROW_BYTES + FOV_ROW_TRACK]):
                stop += 1
            size += fov_group_encode(rows + start * FOV_ROW_BYTES, stop - start, column, ranked, out + size)
            start = stop
        for row in range(count):
            memcpy(out + size, rows + row * FOV_ROW_BYTES + FOV_ROW_DIGEST, 8)
            size += 8
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


cdef bint decode_body(const uint8_t* body, size_t size, const uint8_t* digests, uint8_t* rows, int64_t count) noexcept nogil:
    """Whether it is the body of a table of so many rows."""
    cdef size_t at = 0
    cdef int64_t row = 0, group
    while row < count:
        if fov_group_decode(body, size, &at, rows + row * FOV_ROW_BYTES, count - row, &group) != FOV_TABLE_OK:
            return False
        row += group
    for row in range(count):
        memcpy(rows + row * FOV_ROW_BYTES + FOV_ROW_DIGEST, digests + 8 * row, 8)
    return at == size


def lengths(list tables, int64_t[::1] edges) -> int:
    cdef Py_ssize_t number, size
    cdef const uint8_t* data
    cdef int64_t count, total = 0
    if edges.shape[0] != len(tables) + 1:
        raise ValueError(f"{len(tables)} tables do not fit {edges.shape[0]} edges")
    edges[0] = 0
    for number in range(len(tables)):
        table = tables[number]
        if not PyBytes_Check(table):
            return number
        data = <const uint8_t*> PyBytes_AS_STRING(table)
        size = PyBytes_GET_SIZE(table)
        if size < HEAD or (data[0] != RAW and data[0] != ZSTD):
            return number
        count = <int64_t> fov_le(data + 1, 4)
        if 8 * count > size - HEAD:
            return number
        total += count
        edges[number + 1] = total
    return -1


def decode_tables(list tables, unpack, const int64_t[::1] edges, frames) -> int:
    cdef Py_buffer view
    cdef Py_ssize_t number, size
    cdef const uint8_t* data
    cdef const uint8_t* digests
    cdef int64_t count
    if edges.shape[0] != len(tables) + 1:
        raise ValueError(f"{len(tables)} tables do not fit {edges.shape[0]} edges")
    PyObject_GetBuffer(frames, &view, PyBUF_SIMPLE | PyBUF_WRITABLE)
    try:
        if need_rows(&view) != edges[len(tables)]:
            raise ValueError(f"{need_rows(&view)} frames where {edges[len(tables)]} are told")
        for number in range(len(tables)):
            table = tables[number]
            count = edges[number + 1] - edges[number]
            if not PyBytes_Check(table) or count < 0 or PyBytes_GET_SIZE(table) < HEAD + 8 * count:
                return number
            data = <const uint8_t*> PyBytes_AS_STRING(table)
            size = PyBytes_GET_SIZE(table) - 8 * count
            digests = data + size
            if data[0] == ZSTD:
                body = unpack(1, memoryview(table)[HEAD:size], count)
                if not PyBytes_Check(body):
                    return number
                data, size = <const uint8_t*> PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body)
            else:
                data, size = data + HEAD, size - HEAD
            if not decode_body(data, size, digests, <uint8_t*> view.buf + edges[number] * FOV_ROW_BYTES, count):
                return number
        return -1
    finally:
        PyBuffer_Release(&view)


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
