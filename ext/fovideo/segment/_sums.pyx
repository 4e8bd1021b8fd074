"""Checksum and sizes of many buffers in one go (see the .pyi for the interface)."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free

from fovideo.media._nalh cimport fov_crc32c, fov_crc32c_init

cdef enum:
    BIG = 1 << 20  # bytes from which on other threads may run meanwhile

fov_crc32c_init()


def measure(parts, uint32_t crc=0):
    cdef Py_ssize_t count, taken = 0, index
    cdef size_t total = 0
    cdef Py_buffer* views
    held = tuple(parts)
    count = len(held)
    views = <Py_buffer*> calloc(count + 1, sizeof(Py_buffer))
    if views == NULL:
        raise MemoryError
    try:
        for index in range(count):
            PyObject_GetBuffer(held[index], &views[index], PyBUF_SIMPLE)
            taken = index + 1
            total += <size_t> views[index].len
        if total < BIG:
            for index in range(count):
                crc = fov_crc32c(crc, views[index].buf, <size_t> views[index].len)
        else:
            with nogil:
                for index in range(count):
                    crc = fov_crc32c(crc, views[index].buf, <size_t> views[index].len)
        return crc, [views[index].len for index in range(count)]
    finally:
        for index in range(taken):
            PyBuffer_Release(&views[index])
        free(views)
