"""C declarations of ext/include/fov_nal.h, fov_xxh64.h and fov_crc32c.h."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from "fov_crc32c.h" nogil:
    ctypedef struct fov_crc32c_state:
        int hardware
    fov_crc32c_state fov_crc32c_globals
    void fov_crc32c_init()
    uint32_t fov_crc32c(uint32_t crc, const void* data, size_t size)
    uint32_t fov_crc32c_software(uint32_t crc, const void* data, size_t size)

cdef extern from "fov_xxh64.h" nogil:
    uint64_t fov_xxh64_of(const void* data, size_t size)

cdef extern from "fov_port.h" nogil:
    void fov_store_u32_be(void* out, uint32_t value)

cdef extern from "fov_nal.h" nogil:
    enum:
        FOV_RAW
        FOV_ANNEXB_H264
        FOV_ANNEXB_H265
        FOV_AVCC_H264
        FOV_HVCC_H265
        FOV_PACKINGS
        FOV_KEY
        FOV_PARAMS
        FOV_LOST_BEFORE
        FOV_CORRUPT
        FOV_VCL
    ctypedef struct fov_nal:
        const uint8_t* data
        size_t size
    ctypedef struct fov_nal_reader:
        int broken
    ctypedef struct fov_nal_plan:
        size_t size
        int flags
    void fov_nal_reader_init(fov_nal_reader* reader, const void* data, size_t size, int length_size)
    int fov_nal_next(fov_nal_reader* reader, fov_nal* nal)
    int fov_nal_kind(const fov_nal* nal, int h265)
    void fov_nal_plan_make(fov_nal_plan* plan, const void* data, size_t size, int packing, int length_size)
    uint64_t fov_nal_plan_store(fov_nal_plan* plan, uint8_t* out)
    uint64_t fov_nal_digest(const void* sample, size_t size, int h265)
