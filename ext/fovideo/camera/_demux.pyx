"""The reading loop without the interpreter lock (see the .pyi for the interface and fov_av.h for the library)."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from fovideo.camera._connection import WHY_NOT as _WHY_NOT
from fovideo.camera._connection cimport Connection, fov_av_library, fov_av_packet
from fovideo.ring._ring cimport (
    FOV_KIND_FORMAT,
    FOV_KIND_FRAME,
    FOV_LOAD_RELAXED,
    FOV_PACKINGS,
    FOV_STORE_RELAXED,
    Ring,
    _Mapping,
    fov_ring,
    fov_ring_allowed,
    fov_ring_used,
    fov_unit,
    fov_unit_note,
    fov_unit_push,
)

cdef extern from "fov_stack.h" nogil:
    void fov_stack_trim()

cdef extern from "fov_av.h" nogil:
    enum:
        FOV_AV_NOPTS
        FOV_AV_PKT_CORRUPT
    ctypedef struct fov_av_lane:
        int64_t numerator
        int64_t denominator
        uint8_t track
        uint8_t packing
        uint8_t length_size
        uint8_t flags
        uint8_t by_hand
    int64_t fov_av_pts_ns(int64_t pts, const fov_av_lane* lane)
    int64_t fov_av_wall_ns(const fov_av_library* av, const fov_av_packet* packet)
    int64_t fov_monotonic_ns()

cdef extern from "fov_news.h" nogil:
    int fov_news_tell(uint64_t* news, uint64_t bits, int pipe, uint64_t number)
    uint64_t FOV_EXCHANGE(uint64_t* address, uint64_t value)

cdef extern from "fov_burst.h" nogil:
    ctypedef struct fov_burst:
        pass
    const char* fov_burst_lead(void* inside)
    void fov_burst_begin(fov_burst* burst, int64_t batch_ns)
    void fov_burst_end(fov_burst* burst)

cdef enum:
    LANES = 32
    VIDEO_TRACK = 1
    KEY = 1
    CORRUPT = 8
    PRESSURE_NS = 20_000_000  # how often the consumer is told at most

STOPPED = 0
VIDEO_SILENT = 1
NO_ROOM = 2

LIVE = 1
PRESSURE = 2

cdef object led = None


def why_no_bursts() -> str:
    global led
    cdef const fov_av_library* library = Connection().library
    cdef const char* misfit
    if led is None and library == NULL:
        led = _WHY_NOT
    if led is None:
        misfit = fov_burst_lead(<void*> library.av_read_frame)
        led = misfit.decode() if misfit != NULL else ""
    return led


cdef class Counters:
    """Written by the thread that reads, without the lock; read by any."""
    cdef uint64_t _frames, _bytes, _dropped_frames, _last_receipt_ns, _last_video_ns, _sessions, _news

    def take_news(self):
        return FOV_EXCHANGE(&self._news, 0)

    @property
    def sessions(self):
        return FOV_LOAD_RELAXED(&self._sessions)

    @sessions.setter
    def sessions(self, uint64_t value):
        FOV_STORE_RELAXED(&self._sessions, value)

    @property
    def frames(self):
        return FOV_LOAD_RELAXED(&self._frames)

    @frames.setter
    def frames(self, uint64_t value):
        FOV_STORE_RELAXED(&self._frames, value)

    @property
    def bytes(self):
        return FOV_LOAD_RELAXED(&self._bytes)

    @bytes.setter
    def bytes(self, uint64_t value):
        FOV_STORE_RELAXED(&self._bytes, value)

    @property
    def dropped_frames(self):
        return FOV_LOAD_RELAXED(&self._dropped_frames)

    @dropped_frames.setter
    def dropped_frames(self, uint64_t value):
        FOV_STORE_RELAXED(&self._dropped_frames, value)

    @property
    def last_receipt_ns(self):
        return FOV_LOAD_RELAXED(&self._last_receipt_ns)

    @last_receipt_ns.setter
    def last_receipt_ns(self, uint64_t value):
        FOV_STORE_RELAXED(&self._last_receipt_ns, value)

    @property
    def last_video_ns(self):
        return FOV_LOAD_RELAXED(&self._last_video_ns)

    @last_video_ns.setter
    def last_video_ns(self, uint64_t value):
        FOV_STORE_RELAXED(&self._last_video_ns, value)


cdef int fill_lanes(fov_av_lane* lanes, tracks) except -1:
    cdef fov_av_lane* lane
    memset(lanes, 0, LANES * sizeof(fov_av_lane))
    for index, track, packing, length_size, numerator, denominator, by_hand in tracks:
        if not (0 <= index < LANES and 0 < track <= 3 and 0 <= packing < FOV_PACKINGS and 1 <= length_size <= 4
                and denominator > 0):
            raise ValueError(f"not a track to read: stream {index}, track {track}, packing {packing}")
        lane = lanes + <int> index
        lane.track = track
        lane.packing = packing
        lane.length_size = length_size
        lane.flags = 0 if track == VIDEO_TRACK else KEY
        lane.numerator = numerator
        lane.denominator = denominator
        lane.by_hand = by_hand
    return 0


def run(Connection connection not None, Ring ring not None, Counters counters not None, *, tracks, uint32_t session, int64_t freeze_ns,
        int64_t batch_ns, const uint8_t[::1] start, int news_fd, uint64_t news_number, on_news, on_fragment) -> int:
    cdef fov_av_lane lanes[LANES]
    cdef fov_av_lane* lane
    cdef fov_av_packet* packet
    cdef const fov_av_library* library = connection.library
    cdef _Mapping mapping = ring.need()
    cdef fov_ring* queue = &mapping.ring
    cdef fov_unit unit
    cdef fov_burst burst
    cdef bint bursts = batch_ns > 0 and not why_no_bursts()
    cdef int64_t now_ns, told_ns = 0, video_ns = 0
    cdef bint first = True, watched = False, begun = False
    cdef int result = 0, pushed, heard

    if connection.context == NULL:
        raise ValueError("the connection is not open")
    if not start.shape[0]:
        raise ValueError("a session begins with what it is")
    fill_lanes(lanes, tracks)
    for lane in lanes[:LANES]:
        watched = watched or lane.track == VIDEO_TRACK
    watched = watched and freeze_ns > 0
    packet = library.av_packet_alloc()
    if packet == NULL:
        raise MemoryError
    memset(&unit, 0, sizeof(unit))
    unit.session = session
    unit.kind = FOV_KIND_FRAME
    try:
        with nogil:
            result = connection.play()
            if bursts and result >= 0:
                fov_burst_begin(&burst, batch_ns)
                begun = True
            while result >= 0:
                result = library.av_read_frame(connection.context, packet)
                now_ns = fov_monotonic_ns()
                if result < 0:
                    break
                if connection.is_interrupted():
                    result = 0
                    break
                if not 0 <= packet.stream_index < LANES or packet.size <= 0:
                    library.av_packet_unref(packet)
                    continue
                lane = lanes + packet.stream_index
                if lane.track == 0:
                    library.av_packet_unref(packet)
                    continue
                if first:
                    first = False
                    fov_stack_trim()
                    video_ns = now_ns
                    FOV_STORE_RELAXED(&counters._last_video_ns, now_ns)
                    if not fov_unit_note(queue, FOV_KIND_FORMAT, session, now_ns, &start[0], <size_t> start.shape[0]):
                        result = 2
                        break
                    heard = fov_news_tell(&counters._news, 1, news_fd, news_number)
                    if not heard:
                        with gil:
                            on_news()
                unit.pts_ns = FOV_AV_NOPTS if packet.pts == FOV_AV_NOPTS else fov_av_pts_ns(packet.pts, lane)
                unit.wall_ns = fov_av_wall_ns(library, packet)
                unit.receipt_ns = now_ns
                pushed = 1
                if lane.by_hand:
                    with gil:
                        on_fragment(packet.data[:packet.size], unit.pts_ns, unit.wall_ns, now_ns)
                else:
                    unit.value = 0
                    unit.track = lane.track
                    unit.packing = lane.packing
                    unit.flags = lane.flags | (CORRUPT if packet.flags & FOV_AV_PKT_CORRUPT else 0)
                    pushed = fov_unit_push(queue, &unit, packet.data, packet.size, lane.length_size)
                    FOV_STORE_RELAXED(&counters._frames, counters._frames + 1)
                    if pushed:
                        FOV_STORE_RELAXED(&counters._bytes, counters._bytes + packet.size)
                    else:
                        FOV_STORE_RELAXED(&counters._dropped_frames, counters._dropped_frames + 1)
                    FOV_STORE_RELAXED(&counters._last_receipt_ns, now_ns)
                library.av_packet_unref(packet)
                if lane.track == VIDEO_TRACK:
                    video_ns = now_ns
                    FOV_STORE_RELAXED(&counters._last_video_ns, now_ns)
                elif watched and now_ns - video_ns > freeze_ns:
                    result = 1
                    break
                if (not pushed or 2 * fov_ring_used(queue) > fov_ring_allowed(queue)) and now_ns - told_ns > PRESSURE_NS:
                    told_ns = now_ns
                    heard = fov_news_tell(&counters._news, 2, news_fd, news_number)
                    if not heard:
                        with gil:
                            on_news()
    finally:
        if begun:
            fov_burst_end(&burst)
        library.av_packet_free(&packet)
    return result
