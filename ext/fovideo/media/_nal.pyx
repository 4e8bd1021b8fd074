"""NAL units, digests and checksums: the mechanism under fovideo.media.nal (see the .pyi for the interface)."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from fovideo.media._nalh cimport *

cdef enum:
    BIG = 4096  # bytes from which on other threads may run meanwhile

fov_crc32c_init()
HARDWARE_CRC32C = bool(fov_crc32c_globals.hardware)


def xxh64(data) -> int:
    cdef Py_buffer view
    cdef uint64_t digest
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if view.len < BIG:
            digest = fov_xxh64_of(view.buf, view.len)
        else:
            with nogil:
                digest = fov_xxh64_of(view.buf, view.len)
    finally:
        PyBuffer_Release(&view)
    return digest


def crc32c(data, uint32_t crc=0) -> int:
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if view.len < BIG:
            crc = fov_crc32c(crc, view.buf, view.len)
        else:
            with nogil:
                crc = fov_crc32c(crc, view.buf, view.len)
    finally:
        PyBuffer_Release(&view)
    return crc


def crc32c_software(data, uint32_t crc=0) -> int:
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        with nogil:
            crc = fov_crc32c_software(crc, view.buf, view.len)
    finally:
        PyBuffer_Release(&view)
    return crc


cdef int check_packing(int packing, int length_size) except -1:
    if not 0 <= packing < FOV_PACKINGS:
        raise ValueError(f"no such packing: {packing}")
    if not 1 <= length_size <= 4:
        raise ValueError(f"a NAL length has 1 to 4 bytes, not {length_size}")
    return 0


def store_form(data, int packing, int length_size=4):
    cdef Py_buffer view
    cdef fov_nal_plan plan
    cdef uint64_t digest
    cdef uint8_t* out
    check_packing(packing, length_size)
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if packing == FOV_RAW:
            return PyBytes_FromStringAndSize(<char*> view.buf, view.len), fov_xxh64_of(view.buf, view.len), 0
        with nogil:
            fov_nal_plan_make(&plan, view.buf, view.len, packing, length_size)
        sample = PyBytes_FromStringAndSize(NULL, plan.size)
        out = <uint8_t*> PyBytes_AS_STRING(sample)
        with nogil:
            digest = fov_nal_plan_store(&plan, out)
    finally:
        PyBuffer_Release(&view)
    return sample, digest, plan.flags & (FOV_KEY | FOV_PARAMS | FOV_CORRUPT)


def to_annexb(sample) -> bytes:
    cdef Py_buffer view
    cdef fov_nal_plan plan
    cdef fov_nal_reader reader
    cdef fov_nal nal
    cdef uint8_t* out
    PyObject_GetBuffer(sample, &view, PyBUF_SIMPLE)
    try:
        with nogil:
            fov_nal_plan_make(&plan, view.buf, view.len, FOV_AVCC_H264, 4)
        annexb = PyBytes_FromStringAndSize(NULL, plan.size)
        out = <uint8_t*> PyBytes_AS_STRING(annexb)
        with nogil:
            fov_nal_reader_init(&reader, view.buf, view.len, 4)
            while fov_nal_next(&reader, &nal):
                fov_store_u32_be(out, 1)
                memcpy(out + 4, nal.data, nal.size)
                out += 4 + nal.size
    finally:
        PyBuffer_Release(&view)
    return annexb


def digest(sample, bint h265) -> int:
    cdef Py_buffer view
    cdef uint64_t value
    PyObject_GetBuffer(sample, &view, PyBUF_SIMPLE)
    try:
        with nogil:
            value = fov_nal_digest(view.buf, view.len, h265)
    finally:
        PyBuffer_Release(&view)
    return value


def flags(sample, bint h265) -> int:
    cdef Py_buffer view
    cdef fov_nal_reader reader
    cdef fov_nal nal
    cdef int found = 0
    PyObject_GetBuffer(sample, &view, PyBUF_SIMPLE)
    try:
        with nogil:
            fov_nal_reader_init(&reader, view.buf, view.len, 4)
            while fov_nal_next(&reader, &nal):
                found |= fov_nal_kind(&nal, h265)
    finally:
        PyBuffer_Release(&view)
    if reader.broken:
        found |= FOV_CORRUPT
    return found & (FOV_KEY | FOV_PARAMS | FOV_CORRUPT)


cdef bint is_set(const fov_nal* nal, bint h265) noexcept nogil:
    """Whether it is a parameter set of those that a track keeps: VPS, SPS, PPS."""
    cdef int kind = nal.data[0] >> 1 & 63 if h265 else nal.data[0] & 31
    return 32 <= kind <= 34 if h265 else kind == 7 or kind == 8


def has_only(sample, bint h265, tuple sets) -> bool:
    cdef Py_buffer view
    cdef fov_nal_reader reader
    cdef fov_nal nal
    cdef bytes each
    cdef bint result = True, known
    PyObject_GetBuffer(sample, &view, PyBUF_SIMPLE)
    try:
        fov_nal_reader_init(&reader, view.buf, view.len, 4)
        while result and fov_nal_next(&reader, &nal):
            if is_set(&nal, h265):
                known = False
                for each in sets:
                    if <size_t> len(each) == nal.size and memcmp(PyBytes_AS_STRING(each), nal.data, nal.size) == 0:
                        known = True
                        break
                result = known
    finally:
        PyBuffer_Release(&view)
    return result


def nal_spans(sample, int length_size=4) -> list:
    cdef Py_buffer view
    cdef fov_nal_reader reader
    cdef fov_nal nal
    cdef list spans = []
    if not 0 <= length_size <= 4:
        raise ValueError(f"a NAL length has 1 to 4 bytes, not {length_size}")
    PyObject_GetBuffer(sample, &view, PyBUF_SIMPLE)
    try:
        fov_nal_reader_init(&reader, view.buf, view.len, length_size)
        while fov_nal_next(&reader, &nal):
            spans.append((nal.data - <const uint8_t*> view.buf, nal.size))
    finally:
        PyBuffer_Release(&view)
    return spans
