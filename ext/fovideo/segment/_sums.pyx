"""Checksum, sizes and one copy of many buffers in one go (see the .pyi for the interface)."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from fovideo.media._nalh cimport fov_crc32c, fov_crc32c_init

cdef enum:
    BIG = 1 << 20  # bytes from which on other threads may run meanwhile

fov_crc32c_init()


cdef uint32_t gathered(uint32_t crc, const Py_buffer* views, Py_ssize_t count, uint8_t* to) noexcept nogil:
    """The checksum; and a copy, unless `to` is NULL. A buffer is in the cache when its second use comes."""
    for index in range(count):
        crc = fov_crc32c(crc, views[index].buf, <size_t> views[index].len)
        if to != NULL:
            memcpy(to, views[index].buf, <size_t> views[index].len)
            to += views[index].len
    return crc


cdef object together(parts, uint32_t crc, out, Py_ssize_t at):
    cdef Py_ssize_t count, taken = 0, index
    cdef size_t total = 0
    cdef Py_buffer* views
    cdef Py_buffer target
    cdef uint8_t* to = NULL
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
        if out is not None:
            PyObject_GetBuffer(out, &target, PyBUF_SIMPLE | PyBUF_WRITABLE)
            to = <uint8_t*> target.buf + at
            if at < 0 or at > target.len or total > <size_t> (target.len - at):
                raise ValueError(f"{total} bytes do not fit behind {at} of {target.len}")
        if total < BIG:
            crc = gathered(crc, views, count, to)
        else:
            with nogil:
                crc = gathered(crc, views, count, to)
        return crc, [views[index].len for index in range(count)]
    finally:
        if to != NULL:
            PyBuffer_Release(&target)
        for index in range(taken):
            PyBuffer_Release(&views[index])
        free(views)


def measure(parts, uint32_t crc=0):
    return together(parts, crc, None, 0)


def gather(parts, out, Py_ssize_t at):
    return together(parts, 0, out, at)
