"""The ring as a Python object (see the .pyi for the interface and fov_ring.h for the protocol)."""

import errno
import os
from collections.abc import Sequence

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.slice cimport PySlice_AdjustIndices, PySlice_Unpack
from libc.stdint cimport UINT64_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

import numpy

from fovideo.ring import units as _units

cdef object UNIT = _units.UNIT

if UNIT.itemsize != sizeof(fov_unit_row):
    raise ImportError(f"a row of UNIT has {UNIT.itemsize} bytes, the compiled ring writes {sizeof(fov_unit_row)}")

cdef object empty = numpy.empty


cdef class _Mapping:
    def __cinit__(self):
        self.map.fd = -1

    def __dealloc__(self):
        fov_map_close(&self.map)

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.map.data, self.length, 1, flags)


cdef object failed(str what, int code):
    return OSError(code, f"{what}: {os.strerror(code)}")


def leading(units):
    cdef Py_buffer view
    cdef const fov_unit_row* rows
    cdef Py_ssize_t count, frames = 0, at
    cdef bint drops = False
    cdef uint64_t size = 0
    PyObject_GetBuffer(units, &view, PyBUF_SIMPLE)
    rows = <const fov_unit_row*> view.buf
    count = view.len // <Py_ssize_t> sizeof(fov_unit_row)
    while frames < count and rows[frames].kind == FOV_KIND_FRAME:
        drops = drops or rows[frames].value > 0
        frames += 1
    for at in range(count):
        size += rows[at].size
    PyBuffer_Release(&view)
    return frames, drops, size


cdef extern from "fov_columns.h" nogil:
    enum:
        FOV_ROW_BYTES
        FOV_ROW_SIZE
    uint64_t fov_le(const uint8_t* at, int bytes)


@cython.final
@cython.no_gc  # there can be no cycle, and parent is still known when it is let go
cdef class Payloads:
    def __dealloc__(self):
        if self.parent is None:
            free(self.addresses)
            free(self.sizes)

    def __len__(self):
        return self.count

    def __getitem__(self, which):
        cdef Payloads part
        cdef Py_ssize_t start, stop, step, number
        if isinstance(which, slice):
            PySlice_Unpack(which, &start, &stop, &step)
            number = PySlice_AdjustIndices(self.count, &start, &stop, step)
            if step != 1:
                return [self[at] for at in range(start, start + number * step, step)]
            part = Payloads.__new__(Payloads)
            part.mapping, part.view, part.parent, part.count = self.mapping, self.view, self, number
            part.addresses, part.sizes = self.addresses + start, self.sizes + start
            return part
        number = which
        if number < 0:
            number += self.count
        if not 0 <= number < self.count:
            raise IndexError(f"payload {which} of {self.count}")
        start = self.addresses[number] - self.mapping.map.data
        return self.view[start : start + self.sizes[number]]

    def __iter__(self):
        cdef Py_ssize_t number
        for number in range(self.count):
            yield self[number]


Sequence.register(Payloads)


cdef class Ring:
    def __cinit__(self, long long capacity_bytes, *, int fd=-1, bint shared=True, long long keep_bytes=0):
        cdef _Mapping mapping = _Mapping()
        cdef int error
        self.fd = -1
        if fd >= 0:
            error = fov_map_attach(&mapping.map, fd)
            if error:
                raise failed("cannot attach to a ring", error)
            if fov_ring_open(&mapping.ring, &mapping.map, 0):
                raise failed("the descriptor is not of a ring", errno.EINVAL)
            if capacity_bytes > <long long> mapping.map.capacity:
                raise ValueError(f"the ring has {mapping.map.capacity} bytes, not {capacity_bytes}")
        else:
            if capacity_bytes <= 0 or capacity_bytes > (<long long> 1 << 40):
                raise ValueError(f"not a capacity for a ring: {capacity_bytes}")
            capacity_bytes = (capacity_bytes + FOV_MAP_STEP - 1) // FOV_MAP_STEP * FOV_MAP_STEP
            if shared:
                error = fov_map_create(&mapping.map, capacity_bytes)
            else:
                error = fov_map_plain(&mapping.map, capacity_bytes)
            if error:
                raise failed(f"no memory for a ring of {capacity_bytes} bytes", error)
            if not 0 <= keep_bytes <= capacity_bytes // 2:
                raise ValueError(f"{keep_bytes} bytes to keep of {capacity_bytes}")
            fov_ring_open(&mapping.ring, &mapping.map, 1)
            mapping.ring.control.keep = keep_bytes
        self.capacity_bytes = mapping.map.capacity
        self.fd = mapping.map.fd
        mapping.length = self.capacity_bytes * (2 if mapping.map.twice else 1)
        self.mapping = mapping
        self.view = memoryview(mapping)

    cdef _Mapping need(self):
        cdef _Mapping mapping = self.mapping
        if mapping is None:
            raise ValueError("the ring is closed")
        return mapping

    # producer

    def push(self, payload) -> bool:
        cdef _Mapping mapping = self.need()
        cdef Py_buffer view
        cdef int done
        PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
        try:
            with nogil:
                done = fov_ring_push(&mapping.ring, view.buf, view.len)
        finally:
            PyBuffer_Release(&view)
        return done == 1

    def push_unit(self, *, int kind, int track, int64_t pts_ns, int64_t wall_ns, int64_t receipt_ns, uint32_t session,
                  payload, int packing=0, int64_t value=0, int flags=0, int length_size=4) -> bool:
        cdef _Mapping mapping = self.need()
        cdef Py_buffer view
        cdef fov_unit unit
        cdef int done
        if not 0 <= packing < FOV_PACKINGS or not 1 <= length_size <= 4:
            raise ValueError(f"no such packing: {packing} with lengths of {length_size} bytes")
        if not FOV_KIND_FRAME <= kind <= FOV_KIND_END or not 0 <= track <= 3 or not 0 <= flags <= 255:
            raise ValueError(f"not a unit: kind {kind}, track {track}, flags {flags}")
        unit.pts_ns = pts_ns
        unit.wall_ns = wall_ns
        unit.receipt_ns = receipt_ns
        unit.value = value
        unit.digest = 0
        unit.session = session
        unit.kind = <uint8_t> kind
        unit.track = <uint8_t> track
        unit.flags = <uint8_t> flags
        unit.packing = <uint8_t> packing
        PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
        try:
            with nogil:
                done = fov_unit_push(&mapping.ring, &unit, view.buf, view.len, length_size)
        finally:
            PyBuffer_Release(&view)
        return done == 1

    # consumer

    def units(self, start=None, long long limit=4096, uint64_t most_bytes=UINT64_MAX):
        cdef _Mapping mapping = self.need()
        cdef uint64_t tail = FOV_LOAD_RELAXED(&mapping.ring.control.tail)
        cdef uint64_t position = tail if start is None else start
        cdef int64_t count
        cdef Py_buffer view
        if position < tail:
            raise ValueError(f"no record begins at position {position} of the ring: it was released")
        with nogil:
            count = fov_unit_rows(&mapping.ring, position, limit, most_bytes, NULL)
        if count < 0:
            raise ValueError(f"no record begins at position {position} of the ring")
        rows = empty(count, UNIT)
        if count == 0:
            return rows
        PyObject_GetBuffer(rows, &view, PyBUF_SIMPLE | PyBUF_WRITABLE)
        try:
            with nogil:
                count = fov_unit_rows(&mapping.ring, position, count, UINT64_MAX, <fov_unit_row*> view.buf)
        finally:
            PyBuffer_Release(&view)
        if count < 0:
            raise ValueError(f"the ring is damaged behind position {position}")
        return rows

    def payload(self, position, size):
        cdef _Mapping mapping = self.need()
        cdef uint64_t start = self.offset(mapping, position, size)
        return self.view[start : start + <uint64_t> size]

    cdef int64_t offset(self, _Mapping mapping, uint64_t position, uint64_t size) except -1:
        """Where a payload lies in the memory. ValueError where it does not lie in the ring."""
        cdef uint64_t head = FOV_LOAD_ACQUIRE(&mapping.ring.control.head)
        cdef uint64_t tail = FOV_LOAD_RELAXED(&mapping.ring.control.tail)
        cdef uint64_t start = position % mapping.map.capacity
        if position - tail > head - tail or size > head - position:
            raise ValueError(f"{size} bytes at {position} are not in the ring, which holds {tail} to {head}")
        if start + size > <uint64_t> mapping.length:
            raise ValueError(f"no payload of {size} bytes lies at {position}")
        return <int64_t> start

    def payloads(self, positions, frames) -> Payloads:
        cdef _Mapping mapping = self.need()
        cdef Payloads found = Payloads.__new__(Payloads)
        cdef Py_buffer places, rows
        cdef Py_ssize_t count, number
        cdef uint64_t size
        PyObject_GetBuffer(positions, &places, PyBUF_SIMPLE)
        try:
            PyObject_GetBuffer(frames, &rows, PyBUF_SIMPLE)
            try:
                count = places.len // 8
                if places.len % 8 or rows.len != count * FOV_ROW_BYTES:
                    raise ValueError(f"{places.len} bytes of positions for {rows.len} bytes of frames")
                found.mapping, found.view = mapping, self.view
                found.addresses = <const uint8_t**> malloc((count + 1) * sizeof(uint8_t*))
                found.sizes = <uint32_t*> malloc((count + 1) * sizeof(uint32_t))
                if found.addresses == NULL or found.sizes == NULL:
                    raise MemoryError
                for number in range(count):
                    size = fov_le(<const uint8_t*> rows.buf + number * FOV_ROW_BYTES + FOV_ROW_SIZE, 4)
                    found.sizes[number] = <uint32_t> size
                    found.addresses[number] = mapping.map.data + self.offset(
                        mapping, (<const uint64_t*> places.buf)[number], size
                    )
                found.count = count
            finally:
                PyBuffer_Release(&rows)
        finally:
            PyBuffer_Release(&places)
        return found

    def release(self, position, *, bint discard=False) -> None:
        cdef _Mapping mapping = self.need()
        cdef uint64_t to = position
        cdef int error
        with nogil:
            if discard:
                fov_ring_discard(&mapping.ring, &mapping.map, to)
            error = fov_ring_release(&mapping.ring, to)
        if error:
            raise ValueError(f"cannot release up to {to}: the ring holds {self.tail} to {self.head}")

    # any thread

    @property
    def head(self) -> int:
        return FOV_LOAD_ACQUIRE(&self.need().ring.control.head)

    @property
    def tail(self) -> int:
        return FOV_LOAD_ACQUIRE(&self.need().ring.control.tail)

    @property
    def used_bytes(self) -> int:
        return fov_ring_used(&self.need().ring)

    @property
    def allowed_bytes(self) -> int:
        return fov_ring_allowed(&self.need().ring)

    def restrict(self, uint64_t most_bytes) -> None:
        FOV_STORE_RELAXED(&self.need().ring.control.most, most_bytes)

    @property
    def largest_bytes(self) -> int:
        return fov_ring_limit(&self.need().ring)

    @property
    def pushed_units(self) -> int:
        return FOV_LOAD_RELAXED(&self.need().ring.control.pushed_units)

    @property
    def pushed_bytes(self) -> int:
        return FOV_LOAD_RELAXED(&self.need().ring.control.pushed_bytes)

    @property
    def dropped_units(self) -> int:
        return FOV_LOAD_RELAXED(&self.need().ring.control.dropped_units)

    @property
    def dropped_bytes(self) -> int:
        return FOV_LOAD_RELAXED(&self.need().ring.control.dropped_bytes)

    @property
    def closed(self) -> bool:
        return self.mapping is None

    def close(self) -> None:
        self.mapping = None
        self.view = None
        self.fd = -1

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
