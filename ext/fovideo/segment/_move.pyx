"""Fragments moved to another file in one pass, without the GIL (see the .pyi for the interface)."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc, realloc

from fovideo.media._nalh cimport fov_crc32c_init
from fovideo.segment._tracks cimport FOV_MOST_TRACKS, fov_boxes_limit, fov_track, read_tracks

cdef extern from "fov_move.h" nogil:
    enum:
        FOV_ROW_BYTES
    ctypedef struct fov_fragment:
        size_t at, size, head_bytes
        int64_t rows
        int flags
    int fov_fragment_at(const uint8_t* data, size_t size, size_t at, const uint8_t* uuid, int version, fov_fragment* out)
    int fov_fragment_table(const fov_fragment* fragment, uint8_t* rows)
    int fov_fragment_move(uint8_t* data, const fov_fragment* fragment, const uint8_t* rows, const uint8_t* carries,
                          const fov_track* tracks, int known, uint32_t sequence, int64_t base_ns, uint32_t epoch,
                          uint8_t* room, uint32_t* scratch)

fov_crc32c_init()

cdef struct Found:
    fov_fragment* list
    Py_ssize_t count
    int64_t rows, most


cdef int find(const uint8_t* data, size_t size, const uint8_t* uuid, int version, Found* found) noexcept nogil:
    """All fragments of the buffer. 0 where one is not a usual one, -1 without memory."""
    cdef size_t at = 0
    cdef Py_ssize_t room = 0
    cdef fov_fragment* more
    while at < size:
        if found.count == room:
            room = 2 * room + 64
            more = <fov_fragment*> realloc(found.list, room * sizeof(fov_fragment))
            if more == NULL:
                return -1
            found.list = more
        if not fov_fragment_at(data, size, at, uuid, version, &found.list[found.count]):
            return 0
        at += found.list[found.count].size
        found.rows += found.list[found.count].rows
        found.most = max(found.most, found.list[found.count].rows)
        found.count += 1
    return 1


cdef int move_all(uint8_t* data, Found* found, uint8_t* rows, const uint8_t* carries, const fov_track* tracks, int known,
                  uint32_t sequence, int64_t base_ns, uint32_t epoch, uint8_t* room, uint32_t* scratch) noexcept nogil:
    """Number of fragments that were moved: all of them, or those before one that is not as it should be."""
    cdef Py_ssize_t number
    cdef uint8_t* mine = rows
    for number in range(found.count):
        if not fov_fragment_table(&found.list[number], mine):
            return number
        if not fov_fragment_move(data, &found.list[number], mine, carries, tracks, known, sequence + <uint32_t> number,
                                 base_ns, epoch, room, scratch):
            return number
        mine += found.list[number].rows * FOV_ROW_BYTES
    return found.count


def move(data, tracks, const uint8_t[::1] carries, const uint8_t[::1] uuid, int version, uint32_t sequence,
         int64_t base_ns, uint32_t epoch):
    cdef Py_buffer view
    cdef fov_track known[FOV_MOST_TRACKS]
    cdef Found found
    cdef int count, code
    cdef Py_ssize_t number, moved
    cdef uint8_t* room = NULL
    cdef uint32_t* scratch = NULL
    cdef uint8_t* rows
    if carries.shape[0] != 256 or uuid.shape[0] != 16:
        raise ValueError("what tracks carry takes 256 bytes, and a UUID 16")
    count = read_tracks(tracks, known)
    found.list, found.count, found.rows, found.most = NULL, 0, 0, 0
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE | PyBUF_WRITABLE)
    try:
        with nogil:
            code = find(<const uint8_t*> view.buf, <size_t> view.len, &uuid[0], version, &found)
        if code < 0:
            raise MemoryError
        if code == 0 or not found.count:
            return None
        tables = bytearray(found.rows * FOV_ROW_BYTES)
        rows = tables
        room = <uint8_t*> malloc(fov_boxes_limit(found.most))
        scratch = <uint32_t*> malloc(found.most * sizeof(uint32_t))
        if room == NULL or scratch == NULL:
            raise MemoryError
        with nogil:
            moved = move_all(<uint8_t*> view.buf, &found, rows, &carries[0], known, count, sequence, base_ns, epoch, room,
                             scratch)
        return tables, [
            (found.list[number].at, found.list[number].size, found.list[number].head_bytes, found.list[number].rows)
            for number in range(moved)
        ]
    finally:
        free(found.list)
        free(room)
        free(scratch)
        PyBuffer_Release(&view)
