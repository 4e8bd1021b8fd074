"""Durability of many files in one call, without the GIL (see the .pyi for the interface)."""

from libc.stdlib cimport free, malloc

cdef extern from "fov_sync.h" nogil:
    int FOV_CAN_SYNC
    int fov_sync(int fd)

AVAILABLE = bool(FOV_CAN_SYNC)


def fdatasync_all(fds) -> list:
    cdef list wanted = list(fds)
    cdef Py_ssize_t count = len(wanted), number
    cdef int* codes = <int*> malloc((count + 1) * sizeof(int))
    if codes == NULL:
        raise MemoryError
    try:
        for number in range(count):
            codes[number] = wanted[number]
        with nogil:
            for number in range(count):
                codes[number] = fov_sync(codes[number])
        return [codes[number] for number in range(count)]
    finally:
        free(codes)
