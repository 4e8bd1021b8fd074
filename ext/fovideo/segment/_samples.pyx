"""Samples of many fragments checked in one go, without the GIL (see the .pyi for the interface)."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free

from fovideo.media._nalh cimport fov_crc32c_init

cdef extern from "fov_check.h" nogil:
    enum:
        FOV_ROW_BYTES
        FOV_CARRIES_NONE
        FOV_CARRIES_PLAIN
        FOV_CARRIES_H264
        FOV_CARRIES_H265
        FOV_CARRIES_PACKED
        FOV_CHECK_OK
        FOV_CHECK_LONG
        FOV_CHECK_TRACK
        FOV_CHECK_DIGEST
        FOV_CHECK_CRC
    int fov_check_samples(const uint8_t* data, size_t size, uint32_t expected, const uint8_t* rows, int64_t count,
                          const uint8_t* carries)

fov_crc32c_init()

NONE, PLAIN, H264, H265, PACKED = (
    FOV_CARRIES_NONE, FOV_CARRIES_PLAIN, FOV_CARRIES_H264, FOV_CARRIES_H265, FOV_CARRIES_PACKED
)
LONG, TRACK, DIGEST, CRC = FOV_CHECK_LONG, FOV_CHECK_TRACK, FOV_CHECK_DIGEST, FOV_CHECK_CRC

cdef struct Piece:
    const uint8_t* data
    size_t size
    uint32_t crc
    Py_buffer rows
    bint held


def check(data, pieces, const uint8_t[::1] carries):
    cdef Py_buffer whole
    cdef Piece* list_
    cdef Py_ssize_t count, number, bad = -1, start, size
    cdef int code = FOV_CHECK_OK
    if carries.shape[0] != 256:
        raise ValueError(f"what tracks carry takes 256 bytes, not {carries.shape[0]}")
    wanted = tuple(pieces)
    count = len(wanted)
    list_ = <Piece*> calloc(count + 1, sizeof(Piece))
    if list_ == NULL:
        raise MemoryError
    try:
        PyObject_GetBuffer(data, &whole, PyBUF_SIMPLE)
        try:
            for number in range(count):
                start, size, crc, frames = wanted[number]
                if start < 0 or size < 0 or start > whole.len - size:
                    raise ValueError(f"bytes {start} to {start + size} of {whole.len}")
                list_[number].data = <const uint8_t*> whole.buf + start
                list_[number].size = size
                list_[number].crc = crc
                PyObject_GetBuffer(frames, &list_[number].rows, PyBUF_SIMPLE)
                list_[number].held = True
                if list_[number].rows.len % FOV_ROW_BYTES:
                    raise ValueError(f"not a frame table: {list_[number].rows.len} bytes")
            with nogil:
                for number in range(count):
                    code = fov_check_samples(list_[number].data, list_[number].size, list_[number].crc,
                                             <const uint8_t*> list_[number].rows.buf,
                                             list_[number].rows.len // FOV_ROW_BYTES, &carries[0])
                    if code != FOV_CHECK_OK:
                        bad = number
                        break
        finally:
            PyBuffer_Release(&whole)
    finally:
        for number in range(count):
            if list_[number].held:
                PyBuffer_Release(&list_[number].rows)
        free(list_)
    return None if bad < 0 else (bad, code)
