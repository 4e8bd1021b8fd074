"""Whole fragments in one pass (see the .pyi for the interface and fov_fragment.h for the mechanism)."""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport UINT32_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from fovideo.media._nalh cimport fov_crc32c_init
from fovideo.ring._ring cimport Payloads

cdef extern from "fov_fragment.h" nogil:
    enum:
        FOV_ROW_BYTES
        FOV_ROW_SIZE
        FOV_ROW_TRACK
        FOV_MOST_TRACKS
        FOV_TABLE_PLAIN_ROWS
    ctypedef struct fov_track:
        int64_t scale, delay, channels
        int id, lasts, as_one
    ctypedef struct fov_scratch:
        uint32_t* durations
    ctypedef struct fov_file:
        const fov_track* tracks
        int known, video
        int64_t base_ns
        uint32_t epoch
    size_t fov_fragment_limit(int64_t rows)
    uint64_t fov_row(const uint8_t* rows, int64_t row, int field)
    size_t fov_fragment(const fov_file* file, const uint8_t* rows, int64_t count, const uint8_t** samples,
                        uint32_t sequence, fov_scratch* scratch, uint8_t* out)

cdef enum:
    BIG = 1 << 20  # bytes from which on other threads may run meanwhile

fov_crc32c_init()
PLAIN_ROWS = FOV_TABLE_PLAIN_ROWS


cdef bint is_plain(const fov_file* file, const uint8_t* rows, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
    """Whether the samples go into the file as they are, in the order of the rows."""
    cdef int before = 0, track, number
    cdef Py_ssize_t row
    for row in range(start, stop):
        track = <int> fov_row(rows, row, FOV_ROW_TRACK)
        if track < before:
            return False
        if track != before:
            for number in range(file.known):
                if file.tracks[number].id == track and file.tracks[number].as_one:
                    return False
        before = track
    return True


def limit(int64_t rows) -> int:
    return fov_fragment_limit(rows)


@cython.no_gc  # there can be no cycle, and `known` is still known when it is let go
cdef class _Held:
    """Where payloads lie. Buffers are let go with the object; those of a ring are the ring's."""
    cdef Py_buffer* views
    cdef const uint8_t** samples
    cdef uint32_t* sizes
    cdef Py_ssize_t count
    cdef Payloads known

    def __cinit__(self, payloads):
        cdef Py_ssize_t number
        if type(payloads) is Payloads:
            self.known = <Payloads> payloads
            self.samples, self.sizes, self.count = self.known.addresses, self.known.sizes, self.known.count
            return
        self.views = <Py_buffer*> calloc(len(payloads) + 1, sizeof(Py_buffer))
        self.samples = <const uint8_t**> calloc(len(payloads) + 1, sizeof(uint8_t*))
        self.sizes = <uint32_t*> calloc(len(payloads) + 1, sizeof(uint32_t))
        if self.views == NULL or self.samples == NULL or self.sizes == NULL:
            raise MemoryError
        for number in range(len(payloads)):
            PyObject_GetBuffer(payloads[number], &self.views[number], PyBUF_SIMPLE)
            self.count += 1
            if self.views[number].len > <Py_ssize_t> UINT32_MAX:
                raise ValueError(f"a payload of {self.views[number].len} bytes")
            self.samples[number] = <const uint8_t*> self.views[number].buf
            self.sizes[number] = <uint32_t> self.views[number].len

    def __dealloc__(self):
        if self.known is not None:
            return
        while self.count:
            self.count -= 1
            PyBuffer_Release(&self.views[self.count])
        free(self.views)
        free(self.samples)
        free(self.sizes)


def compose(out, Py_ssize_t at, frames, payloads, starts, tracks, int video, uint32_t sequence, int64_t base_ns,
            uint32_t epoch):
    cdef Py_buffer target, view
    cdef fov_track known[FOV_MOST_TRACKS]
    cdef fov_scratch scratch
    cdef fov_file file
    cdef _Held held = _Held(payloads)
    cdef list cuts = [*starts], sizes = []
    cdef const uint8_t* rows
    cdef Py_ssize_t count = held.count, number, start, stop
    cdef int64_t need = 0
    cdef int index = 0
    cdef size_t size
    cdef uint8_t* to
    if len(tracks) > FOV_MOST_TRACKS:
        return None
    for track in tracks:
        (known[index].id, known[index].scale, known[index].delay, known[index].lasts, known[index].channels,
         known[index].as_one) = track
        if known[index].scale <= 0:
            return None
        index += 1
    file.tracks, file.known, file.video, file.base_ns, file.epoch = known, index, video, base_ns, epoch
    PyObject_GetBuffer(frames, &view, PyBUF_SIMPLE)
    try:
        rows = <const uint8_t*> view.buf
        if view.len != count * FOV_ROW_BYTES:
            raise ValueError("not a frame table with a payload for each row")
        cuts.append(count)
        for number in range(len(cuts) - 1):
            start, stop = cuts[number], cuts[number + 1]
            if not 0 <= start < stop <= count or stop - start > FOV_TABLE_PLAIN_ROWS or (number == 0 and start):
                return None
            if not is_plain(&file, rows, start, stop):
                return None
            need += fov_fragment_limit(stop - start)
        for number in range(count):
            if fov_row(rows, number, FOV_ROW_SIZE) != held.sizes[number]:
                return None
            need += held.sizes[number]
        PyObject_GetBuffer(out, &target, PyBUF_SIMPLE | PyBUF_WRITABLE)
        try:
            if at < 0 or need > target.len - at:
                raise ValueError(f"{need} bytes do not fit behind {at} of {target.len}")
            to = <uint8_t*> target.buf + at
            for number in range(len(cuts) - 1):
                start, stop = cuts[number], cuts[number + 1]
                if need < BIG:
                    size = fov_fragment(&file, rows + start * FOV_ROW_BYTES, stop - start, held.samples + start,
                                        sequence, &scratch, to)
                else:
                    with nogil:
                        size = fov_fragment(&file, rows + start * FOV_ROW_BYTES, stop - start, held.samples + start,
                                            sequence, &scratch, to)
                if size == 0:
                    return None
                sizes.append(size)
                to += size
                sequence += 1
        finally:
            PyBuffer_Release(&target)
    finally:
        PyBuffer_Release(&view)
    return sizes
