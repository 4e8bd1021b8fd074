from libc.stdint cimport int64_t, uint8_t, uint64_t

cdef extern from "fov_av_open.h" nogil:
    ctypedef struct fov_av_packet:
        int64_t pts
        uint8_t* data
        int size
        int stream_index
        int flags
    ctypedef struct fov_av_ratio:
        int num
        int den
    ctypedef struct fov_av_layout "":
        int channels
    ctypedef struct fov_av_parameters:
        int kind
        int codec
        uint8_t* extradata
        int extradata_size
        int width
        int height
        fov_av_layout layout
        int sample_rate
    ctypedef struct fov_av_stream:
        int index
        fov_av_parameters* parameters
        fov_av_ratio time_base
        fov_av_ratio rate
    ctypedef struct fov_av_format:
        unsigned int nb_streams
        fov_av_stream** streams
    ctypedef struct fov_av_library:
        fov_av_packet* (*av_packet_alloc)() noexcept nogil
        void (*av_packet_free)(fov_av_packet** packet) noexcept nogil
        void (*av_packet_unref)(fov_av_packet* packet) noexcept nogil
        int (*av_read_frame)(void* context, fov_av_packet* packet) noexcept nogil
        void (*avformat_close_input)(void** context) noexcept nogil
        int (*avformat_find_stream_info)(void* context, void** options) noexcept nogil
        int (*av_read_play)(void* context) noexcept nogil
        int (*av_dict_set)(void** options, const char* key, const char* value, int flags) noexcept nogil
        const char* (*avcodec_get_name)(int codec) noexcept nogil
    ctypedef struct fov_av_patience:
        uint64_t deadline_ns
        uint64_t stopped
        uint64_t late


cdef class Connection:
    cdef const fov_av_library* library  # NULL where WHY_NOT says why
    cdef void* context
    cdef fov_av_patience patience
    cdef int64_t timeout_ns
    cdef bint paused

    cdef void wait(self) noexcept nogil
    cdef int play(self) noexcept nogil
    cdef bint is_interrupted(self) noexcept nogil
