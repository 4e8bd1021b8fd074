"""Stamping of frames whose clock goes on as it did (see the .pyi for the interface and fov_steady.h for the rules)."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint8_t

cdef extern from "fov_unit.h" nogil:
    ctypedef struct fov_unit_row:
        int64_t end

cdef extern from "fov_steady.h" nogil:
    enum:
        FOV_ROW_BYTES
    ctypedef struct fov_steady:
        int64_t step, anchor, jump, reorder_min, reorder_frames, reorder_ns, earliest, latest
        int64_t offset, wall_shift, error, improve_after
        int reorders, live, reported, local, video, trust_first, track, clock
        int64_t max_pts, receipt, interval, last_dts, last_time, deviation, slack, relation
        int had_wall, has_relation
    int fov_steady_fits(int64_t value)
    int64_t fov_steady_run(fov_steady* at, const fov_unit_row* units, int64_t count, uint8_t* frames,
                           int64_t* positions, int64_t* taken)

UNIT_BYTES = sizeof(fov_unit_row)
FRAME_BYTES = FOV_ROW_BYTES


cdef class Steady:
    cdef Py_buffer views[3]
    cdef int held

    def __cinit__(self, units, frames, positions):
        PyObject_GetBuffer(units, &self.views[0], PyBUF_SIMPLE)
        self.held = 1
        PyObject_GetBuffer(frames, &self.views[1], PyBUF_SIMPLE | PyBUF_WRITABLE)
        self.held = 2
        PyObject_GetBuffer(positions, &self.views[2], PyBUF_SIMPLE | PyBUF_WRITABLE)
        self.held = 3

    def __dealloc__(self):
        while self.held:
            self.held -= 1
            PyBuffer_Release(&self.views[self.held])

    def run(self, int64_t begin, int64_t at, settings, fixed, state):
        cdef fov_steady steady
        cdef int64_t count = self.views[0].len // <Py_ssize_t> sizeof(fov_unit_row), done, taken = 0
        if not 0 <= begin <= count or at < 0 or (
            self.views[1].len // FOV_ROW_BYTES < at + count - begin or self.views[2].len // 8 < at + count - begin
        ):
            raise ValueError("no room for the frames")
        try:
            (steady.step, steady.anchor, steady.jump, steady.reorder_min, steady.reorder_frames, steady.reorder_ns,
             steady.earliest, steady.latest) = settings
            (steady.offset, steady.wall_shift, steady.error, steady.improve_after, steady.reorders, steady.live,
             steady.reported, steady.local, steady.video, steady.trust_first, steady.track, steady.clock) = fixed
            (steady.max_pts, steady.receipt, steady.interval, steady.last_dts, steady.last_time, steady.deviation,
             steady.slack, steady.relation, steady.had_wall, steady.has_relation) = state
        except OverflowError:
            return begin, 0, state
        if not (fov_steady_fits(steady.offset) and fov_steady_fits(steady.wall_shift) and fov_steady_fits(steady.slack)
                and fov_steady_fits(steady.receipt) and fov_steady_fits(steady.last_dts)
                and 0 <= steady.interval < steady.jump):
            return begin, 0, state
        with nogil:
            done = fov_steady_run(&steady, <const fov_unit_row*> self.views[0].buf + begin, count - begin,
                                  <uint8_t*> self.views[1].buf + at * FOV_ROW_BYTES,
                                  <int64_t*> self.views[2].buf + at, &taken)
        return begin + done, taken, (
            steady.max_pts, steady.receipt, steady.interval, steady.last_dts, steady.last_time, steady.deviation,
            steady.slack, steady.relation, steady.had_wall, steady.has_relation,
        )
