"""A source that libavformat has open, without PyAV (see the .pyi for the interface, fov_av_open.h for the library)."""

import ctypes
import sys

from libc.stdint cimport int64_t, uint64_t, uintptr_t

cdef extern from "fov_av_open.h" nogil:
    const char* fov_av_check(const fov_av_library* av)
    const char* fov_av_check_open(const fov_av_library* av)
    int fov_av_open(const fov_av_library* av, const char* url, void** options, fov_av_patience* patience, void** context)
    int64_t fov_monotonic_ns()
    uint64_t FOV_LOAD_RELAXED(uint64_t* address)
    void FOV_STORE_RELAXED(uint64_t* address, uint64_t value)

KINDS = ("video", "audio", "data")

cdef fov_av_library loaded


def _load() -> str:
    """Fills `loaded` from the copy of libavformat that PyAV uses; the reason if that cannot be done."""
    cdef uintptr_t* slots = <uintptr_t*> &loaded
    cdef const char* misfit
    if not sys.platform.startswith("linux"):
        return "only done on Linux"
    try:
        import av.container.core as core

        libraries = ctypes.CDLL(core.__file__)
        for slot, name in enumerate((
            "avcodec_version", "avformat_version", "av_packet_alloc", "av_packet_free", "av_packet_unref",
            "av_new_packet", "av_packet_new_side_data", "av_packet_get_side_data", "av_packet_side_data_name",
            "av_read_frame", "avformat_alloc_context", "avformat_free_context", "avformat_open_input",
            "avformat_close_input", "avformat_find_stream_info", "avformat_new_stream", "av_read_play", "av_dict_set",
            "av_dict_free", "av_opt_find", "avcodec_get_name", "avcodec_alloc_context3", "avcodec_free_context",
            "avcodec_parameters_to_context", "av_opt_get_int",
        )):
            slots[slot] = ctypes.cast(getattr(libraries, name), ctypes.c_void_p).value
    except (ImportError, AttributeError, OSError) as error:
        return f"libavformat is not where PyAV has it: {error}"
    misfit = fov_av_check(&loaded)
    if misfit == NULL:
        misfit = fov_av_check_open(&loaded)
    return misfit.decode() if misfit != NULL else ""


WHY_NOT = _load()


cdef class Connection:
    def __cinit__(self):
        self.library = NULL if WHY_NOT else &loaded

    def __dealloc__(self):
        self.close()

    @property
    def late(self):
        return FOV_LOAD_RELAXED(&self.patience.late) != 0

    def open(self, str url not None, options, *, int64_t timeout_ns, bint paused):
        cdef void* given = NULL
        cdef bytes where = url.encode()
        cdef const char* name = where
        cdef int code
        if self.library == NULL:
            raise ValueError(WHY_NOT)
        if self.context != NULL:
            raise ValueError("the connection is open")
        for key, value in (*options.items(), *((("initial_pause", "1"),) if paused else ())):
            self.library.av_dict_set(&given, key.encode(), value.encode(), 0)
        self.paused = paused
        self.timeout_ns = timeout_ns
        self.wait()
        with nogil:
            code = fov_av_open(self.library, name, &given, &self.patience, &self.context)
        return code

    def streams(self):
        cdef fov_av_format* context = <fov_av_format*> self.context
        cdef fov_av_parameters* found
        cdef fov_av_stream* stream
        made = []
        if context != NULL:
            for stream in context.streams[:context.nb_streams]:
                found = stream.parameters
                made.append((
                    stream.index,
                    KINDS[found.kind] if 0 <= found.kind < 3 else "unknown",
                    self.library.avcodec_get_name(found.codec).decode(),
                    found.extradata[:found.extradata_size] if found.extradata != NULL else b"",
                    stream.time_base.num,
                    stream.time_base.den,
                    found.width,
                    found.height,
                    found.sample_rate,
                    found.layout.channels,
                    stream.rate.num,
                    stream.rate.den,
                ))
        return made

    def explore(self):
        cdef int code
        if self.context == NULL:
            raise ValueError("the connection is not open")
        with nogil:
            code = self.play()
            if code >= 0:
                self.wait()
                code = self.library.avformat_find_stream_info(self.context, NULL)
                FOV_STORE_RELAXED(&self.patience.deadline_ns, 0)
        return code

    def interrupt(self):
        FOV_STORE_RELAXED(&self.patience.stopped, 1)

    def close(self):
        if self.context != NULL:
            with nogil:
                self.wait()
                self.library.avformat_close_input(&self.context)

    cdef void wait(self) noexcept nogil:
        """What is asked of the library next may take timeout_ns."""
        FOV_STORE_RELAXED(&self.patience.deadline_ns, <uint64_t> (fov_monotonic_ns() + self.timeout_ns))

    cdef int play(self) noexcept nogil:
        """From now on there is no limit to how long a read may take; the first time, PLAY is sent."""
        cdef int code = 0
        if self.paused:
            self.paused = False
            self.wait()
            code = self.library.av_read_play(self.context)
        FOV_STORE_RELAXED(&self.patience.deadline_ns, 0)
        return code

    cdef bint is_interrupted(self) noexcept nogil:
        return FOV_LOAD_RELAXED(&self.patience.stopped) != 0
