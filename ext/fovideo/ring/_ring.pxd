"""C declarations of the ring, and the Ring class for compiled producers (fovideo.camera._demux)."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "fov_map.h" nogil:
    enum:
        FOV_MAP_STEP
    ctypedef struct fov_map:
        uint8_t* data
        uint64_t capacity
        int twice
        int fd
    int fov_map_create(fov_map* map, uint64_t capacity)
    int fov_map_plain(fov_map* map, uint64_t capacity)
    int fov_map_attach(fov_map* map, int fd)
    void fov_map_close(fov_map* map)
    void fov_map_discard(fov_map* map, uint64_t start, uint64_t size)

cdef extern from "fov_port.h" nogil:
    uint64_t FOV_LOAD_ACQUIRE(uint64_t* address)
    uint64_t FOV_LOAD_RELAXED(uint64_t* address)
    void FOV_STORE_RELAXED(uint64_t* address, uint64_t value)

cdef extern from "fov_ring.h" nogil:
    ctypedef struct fov_ring_control:
        uint64_t head
        uint64_t tail
        uint64_t pushed_units
        uint64_t pushed_bytes
        uint64_t dropped_units
        uint64_t dropped_bytes
        uint64_t keep
        uint64_t most
    ctypedef struct fov_ring:
        fov_ring_control* control
        uint64_t capacity
    int fov_ring_open(fov_ring* ring, const fov_map* map, int fresh)
    uint64_t fov_ring_limit(const fov_ring* ring)
    uint64_t fov_ring_used(const fov_ring* ring)
    uint64_t fov_ring_allowed(const fov_ring* ring)
    int fov_ring_push(fov_ring* ring, const void* data, uint64_t size)
    void fov_ring_discard(const fov_ring* ring, fov_map* map, uint64_t position)
    int fov_ring_release(fov_ring* ring, uint64_t position)

cdef extern from "fov_unit.h" nogil:
    enum:
        FOV_KIND_FRAME
        FOV_KIND_FORMAT
        FOV_KIND_END
        FOV_PACKINGS
    ctypedef struct fov_unit:
        int64_t pts_ns
        int64_t wall_ns
        int64_t receipt_ns
        int64_t value
        uint64_t digest
        uint32_t session
        uint8_t kind
        uint8_t track
        uint8_t flags
        uint8_t packing
    ctypedef struct fov_unit_row:
        int64_t value
        int64_t end
        uint32_t size
        uint8_t kind
    int fov_unit_push(fov_ring* ring, fov_unit* unit, const void* payload, size_t size, int length_size)
    int fov_unit_note(fov_ring* ring, uint8_t kind, uint32_t session, int64_t receipt_ns, const void* payload, size_t size)
    int64_t fov_unit_rows(fov_ring* ring, uint64_t position, int64_t limit, uint64_t most_bytes,
                          fov_unit_row* rows)


cdef class _Mapping:
    """Owns the memory of a ring; every view of a payload keeps it, so that closing a ring never pulls it away."""
    cdef fov_map map
    cdef fov_ring ring
    cdef Py_ssize_t length


cdef class Payloads:
    """addresses, sizes: of `count` payloads; those of a slice are its parent's."""
    cdef _Mapping mapping
    cdef object view
    cdef Payloads parent
    cdef const uint8_t** addresses
    cdef uint32_t* sizes
    cdef Py_ssize_t count


cdef class Ring:
    cdef object __weakref__
    cdef _Mapping mapping
    cdef object view
    cdef readonly int fd
    cdef readonly long long capacity_bytes
    cdef _Mapping need(self)
    cdef int64_t offset(self, _Mapping mapping, uint64_t position, uint64_t size) except -1
