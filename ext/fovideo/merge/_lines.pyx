"""Lines of frames: taken out of frame tables, and compared in one walk through two (see the .pyi for the interface)."""

from cpython.buffer cimport PyBUF_STRIDES, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint8_t, uint64_t

cdef extern from "fov_lines.h" nogil:
    enum:
        FOV_ROW_BYTES
    int64_t fov_line(const uint8_t* rows, int64_t stride, int64_t count, int track, int flags, int64_t* time_ns,
                     uint64_t* digest, int64_t* index, uint8_t* flagged, int* rising)
    void fov_partners(const int64_t* time_ns, const uint64_t* digest, int64_t count, const int64_t* their_ns,
                      const uint64_t* theirs, int64_t their_count, int64_t tolerance_ns, int64_t* partner)
    void fov_covered(const int64_t* at_ns, int64_t count, const int64_t* time_ns, int64_t their_count, int64_t close_ns,
                     int64_t reach_ns, uint8_t* covered)


def line(frames, int track, int flags, int64_t[::1] time_ns, uint64_t[::1] digest, int64_t[::1] index,
         uint8_t[::1] flagged):
    cdef Py_buffer view
    cdef int64_t found = 0
    cdef int rising = 1
    PyObject_GetBuffer(frames, &view, PyBUF_STRIDES)
    try:
        if view.ndim != 1 or view.itemsize != FOV_ROW_BYTES:
            raise ValueError("not a frame table")
        if min(time_ns.shape[0], digest.shape[0], index.shape[0], flagged.shape[0]) < view.shape[0]:
            raise ValueError(f"no room for {view.shape[0]} frames")
        if view.shape[0]:
            with nogil:
                found = fov_line(<const uint8_t*> view.buf, view.strides[0], view.shape[0], track, flags, &time_ns[0],
                                 &digest[0], &index[0], &flagged[0], &rising)
    finally:
        PyBuffer_Release(&view)
    return found, bool(rising)


def partners(const int64_t[::1] time_ns, const uint64_t[::1] digest, const int64_t[::1] their_ns,
             const uint64_t[::1] theirs, int64_t tolerance_ns, int64_t[::1] partner) -> None:
    cdef int64_t count = time_ns.shape[0], their_count = their_ns.shape[0]
    if digest.shape[0] != count or partner.shape[0] != count or theirs.shape[0] != their_count:
        raise ValueError("columns of different lengths")
    if count == 0:
        return
    if their_count == 0:
        partner[:] = -1
        return
    with nogil:
        fov_partners(&time_ns[0], &digest[0], count, &their_ns[0], &theirs[0], their_count, tolerance_ns, &partner[0])


def covered(const int64_t[::1] at_ns, const int64_t[::1] time_ns, int64_t close_ns, int64_t reach_ns,
            uint8_t[::1] out) -> None:
    cdef int64_t count = at_ns.shape[0], their_count = time_ns.shape[0]
    if out.shape[0] != count:
        raise ValueError("columns of different lengths")
    if count == 0:
        return
    if their_count == 0:
        out[:] = 0
        return
    with nogil:
        fov_covered(&at_ns[0], count, &time_ns[0], their_count, close_ns, reach_ns, &out[0])
