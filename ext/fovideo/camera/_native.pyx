"""Flows and the event loop as Python objects (see the .pyi for the interface, fov_rtp_flow.h and fov_loop.h for the work)."""

import errno
import os
import time

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free

from fovideo.ring._ring cimport Ring, _Mapping, fov_ring

cdef extern from "pythread.h" nogil:
    ctypedef void* PyThread_type_lock
    ctypedef int PyLockStatus
    PyThread_type_lock PyThread_allocate_lock()
    void PyThread_free_lock(PyThread_type_lock lock)
    PyLockStatus PyThread_acquire_lock_timed(PyThread_type_lock lock, long long microseconds, int interruptible)
    void PyThread_release_lock(PyThread_type_lock lock)
    enum:
        PY_LOCK_ACQUIRED

cdef extern from "fov_port.h" nogil:
    uint64_t FOV_LOAD_RELAXED(uint64_t* address)
    void FOV_STORE_RELAXED(uint64_t* address, uint64_t value)
    uint64_t FOV_EXCHANGE(uint64_t* address, uint64_t value)

cdef extern from "fov_note.h" nogil:
    ctypedef struct fov_note:
        fov_note* next
        size_t size
        uint8_t* data
    ctypedef struct fov_notes:
        pass
    int fov_notes_put(fov_notes* notes, const void* data, size_t size)
    fov_note* fov_notes_take(fov_notes* notes)

cdef extern from "fov_net.h" nogil:
    ctypedef int fov_socket
    fov_socket FOV_NO_SOCKET
    int64_t fov_net_now_ns()
    long fov_net_send(fov_socket fd, const void* data, size_t size, int* error)

cdef extern from "fov_loop.h" nogil:
    enum:
        FOV_FLOW_TRACKS
        FOV_TRACK_H264
        FOV_TRACK_AAC
        FOV_TRACK_DOCUMENTS
        FOV_FLOW_LIVE
        FOV_FLOW_PRESSURE
        FOV_FLOW_MESSAGE
        FOV_FLOW_ENDED
        FOV_END_LEFT
        FOV_END_EOF
        FOV_END_ERROR
        FOV_END_BYE
        FOV_END_FROZEN
        FOV_END_NO_VIDEO
        FOV_END_GARBAGE
        FOV_END_NO_ROOM
    ctypedef struct fov_sink:
        fov_ring* ring
        uint64_t frames
        uint64_t bytes
        uint64_t dropped
    ctypedef struct fov_rtp_sequence:
        uint64_t received
        uint64_t lost
    ctypedef struct fov_order:
        uint64_t reordered
    ctypedef struct fov_video:
        uint64_t units
        uint64_t corrupt
        uint64_t cut
        uint64_t unsupported
        uint64_t malformed
    ctypedef struct fov_plain:
        int size_bits
        int index_bits
        uint32_t frame_ticks
        uint64_t malformed
    ctypedef union fov_track_as:
        fov_video video
        fov_plain plain
    ctypedef struct fov_track:
        uint8_t id
        fov_rtp_sequence sequence
        fov_order order
        int64_t media_ns
        uint64_t late
        uint64_t foreign
        # an anonymous union in C
        fov_track_as as_ "as"
    ctypedef struct fov_flow:
        fov_sink sink
        fov_track tracks[3]
        int count
        uint32_t session
        int64_t freeze_ns
        int64_t began_ns
        const uint8_t* format
        size_t format_size
        uint8_t channels[256]
        uint64_t garbage
        uint64_t received_bytes
        int announced
        int end
        int error
        uint64_t events
        uint64_t leave
        fov_notes inbox
        fov_notes outbox
        void (*notify)(void* owner) noexcept nogil
        void* owner
    int fov_track_is_video(const fov_track* track)
    uint64_t fov_track_units(const fov_track* track)
    int fov_flow_add(fov_flow* flow, int form, int id, int type, uint32_t rate, int reliable, uint32_t own)
    void fov_flow_packet(fov_flow* flow, fov_track* track, int rtcp, const uint8_t* data, size_t size, int64_t now_ns)
    void fov_flow_tick(fov_flow* flow, int64_t now_ns)
    void fov_flow_close(fov_flow* flow)
    void fov_flow_free(fov_flow* flow)
    void fov_demux_feed(fov_flow* flow, const uint8_t* data, size_t size, int64_t now_ns)
    ctypedef struct fov_seat:
        fov_flow* flow
        fov_socket stream
        fov_socket datagrams[3][2]
        uint8_t channels[3]
        int by_datagram
    ctypedef struct fov_loop:
        uint64_t sweeps
        uint64_t reads
        uint64_t early
        uint64_t seated
        int64_t offset_ns
    int fov_loop_open(fov_loop* loop, fov_socket wake, int64_t batch_ns, int64_t datagram_ns, int portable)
    void fov_loop_close(fov_loop* loop)
    void fov_loop_add(fov_loop* loop, fov_seat* seat)
    void fov_loop_stop(fov_loop* loop)
    void fov_loop_run(fov_loop* loop)
    void fov_loop_finish(fov_loop* loop)

H264, H265, PACKETS, AAC, DOCUMENTS = range(FOV_TRACK_H264, FOV_TRACK_DOCUMENTS + 1)
LIVE, PRESSURE, MESSAGE, ENDED = FOV_FLOW_LIVE, FOV_FLOW_PRESSURE, FOV_FLOW_MESSAGE, FOV_FLOW_ENDED
END_LEFT, END_EOF, END_ERROR, END_BYE = FOV_END_LEFT, FOV_END_EOF, FOV_END_ERROR, FOV_END_BYE
END_FROZEN, END_NO_VIDEO = FOV_END_FROZEN, FOV_END_NO_VIDEO
END_GARBAGE, END_NO_ROOM = FOV_END_GARBAGE, FOV_END_NO_ROOM

cdef struct signal:
    PyThread_type_lock lock  # held but for the moment between a notice and the wait that it ends
    uint64_t given


cdef void give(void* owner) noexcept nogil:
    cdef signal* to = <signal*> owner
    if FOV_EXCHANGE(&to.given, 1) == 0:
        PyThread_release_lock(to.lock)


cdef object failed(str what, int code):
    return OSError(code, f"{what}: {os.strerror(code)}")


cdef class Flow:
    cdef object __weakref__
    cdef fov_flow flow
    cdef fov_seat seat
    cdef signal signal
    cdef _Mapping mapping  # the ring's memory: stays as long as the flow
    cdef bytes format
    cdef bint seated, closed

    def __cinit__(self, Ring ring, *, uint32_t session, bytes start, int64_t freeze_ns):
        self.mapping = ring.need()
        self.format = start
        self.signal.lock = PyThread_allocate_lock()
        if self.signal.lock == NULL:
            raise MemoryError
        PyThread_acquire_lock_timed(self.signal.lock, -1, 0)
        self.flow.sink.ring = &self.mapping.ring
        self.flow.session = session
        self.flow.format = <const uint8_t*> self.format
        self.flow.format_size = len(start)
        self.flow.freeze_ns = freeze_ns
        self.flow.notify = give
        self.flow.owner = &self.signal
        self.seat.flow = &self.flow
        for i in range(FOV_FLOW_TRACKS):
            self.seat.datagrams[i][0] = self.seat.datagrams[i][1] = FOV_NO_SOCKET

    def __dealloc__(self):
        fov_flow_free(&self.flow)
        if self.signal.lock != NULL:
            PyThread_free_lock(self.signal.lock)

    def add_track(self, int form, *, int track, int payload_type, uint32_t rate, uint32_t own_ssrc=1, channels=None,
                  sockets=None, int size_bits=13, int index_bits=3, uint32_t frame_ticks=1024) -> int:
        cdef int number
        cdef fov_track* made
        if self.seated:
            raise ValueError("the flow is at work")
        if not FOV_TRACK_H264 <= form <= FOV_TRACK_DOCUMENTS or not 1 <= track <= 3 or not 0 <= payload_type <= 127:
            raise ValueError(f"not a track: form {form}, track {track}, payload type {payload_type}")
        if rate == 0 or not 1 <= size_bits <= 16 or not 0 <= index_bits <= 16:
            raise ValueError(f"not a format of packets: rate {rate}, sizes of {size_bits} bits")
        number = fov_flow_add(&self.flow, form, track, payload_type, rate, sockets is None, own_ssrc)
        if number < 0:
            raise ValueError(f"a flow has at most {FOV_FLOW_TRACKS} tracks")
        made = &self.flow.tracks[number]
        if form == FOV_TRACK_AAC:
            made.as_.plain.size_bits = size_bits
            made.as_.plain.index_bits = index_bits
            made.as_.plain.frame_ticks = frame_ticks
        if channels is not None:
            self.flow.channels[<uint8_t> channels[0]] = <uint8_t> (1 + 2 * number)
            self.flow.channels[<uint8_t> channels[1]] = <uint8_t> (2 + 2 * number)
            self.seat.channels[number] = channels[1]
        if sockets is not None:
            self.seat.datagrams[number][0], self.seat.datagrams[number][1] = sockets
            self.seat.by_datagram = 1
        return number

    # by hand

    cdef int check_idle(self) except -1:
        if self.seated or self.closed:
            raise ValueError("the flow is at work or over")
        return 0

    def feed(self, data, int64_t receipt_ns) -> None:
        cdef Py_buffer view
        self.check_idle()
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            with nogil:
                fov_demux_feed(&self.flow, <const uint8_t*> view.buf, view.len, receipt_ns)
                fov_flow_tick(&self.flow, receipt_ns)
        finally:
            PyBuffer_Release(&view)

    def feed_packet(self, int number, data, int64_t receipt_ns, *, bint rtcp=False) -> None:
        cdef Py_buffer view
        self.check_idle()
        if not 0 <= number < self.flow.count:
            raise ValueError(f"no such track: {number}")
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            with nogil:
                fov_flow_packet(&self.flow, &self.flow.tracks[number], rtcp, <const uint8_t*> view.buf, view.len,
                                receipt_ns)
                fov_flow_tick(&self.flow, receipt_ns)
        finally:
            PyBuffer_Release(&view)

    def tick(self, int64_t now_ns) -> None:
        self.check_idle()
        with nogil:
            fov_flow_tick(&self.flow, now_ns)

    def close(self) -> None:
        self.check_idle()
        self.closed = True
        with nogil:
            fov_flow_close(&self.flow)

    # the owner

    def wait(self, timeout_s=None) -> int:
        cdef long long microseconds = -1 if timeout_s is None else max(0, round(timeout_s * 1e6))
        cdef uint64_t events
        with nogil:
            if PyThread_acquire_lock_timed(self.signal.lock, microseconds, 0) == PY_LOCK_ACQUIRED:
                FOV_EXCHANGE(&self.signal.given, 0)
            events = FOV_EXCHANGE(&self.flow.events, 0)
        if events & FOV_FLOW_ENDED:
            self.seated = False
            self.closed = True
        return events

    def messages(self) -> list:
        cdef fov_note* note = fov_notes_take(&self.flow.inbox)
        cdef fov_note* following
        cdef list found = []
        while note != NULL:
            following = note.next
            found.append((<const char*> note.data)[:note.size])
            free(note)
            note = following
        return found

    def send(self, bytes data) -> None:
        if not fov_notes_put(&self.flow.outbox, <const char*> data, len(data)):
            raise MemoryError

    def leave(self) -> None:
        FOV_STORE_RELAXED(&self.flow.leave, 1)

    @property
    def ended(self) -> bool:
        return self.closed

    @property
    def announced(self) -> bool:
        return self.flow.announced

    @property
    def end(self) -> int:
        return self.flow.end

    @property
    def error(self) -> int:
        return self.flow.error

    # any thread

    @property
    def frames(self) -> int:
        return FOV_LOAD_RELAXED(&self.flow.sink.frames)

    @property
    def bytes(self) -> int:
        return FOV_LOAD_RELAXED(&self.flow.sink.bytes)

    @property
    def dropped_frames(self) -> int:
        return FOV_LOAD_RELAXED(&self.flow.sink.dropped)

    @property
    def last_receipt_ns(self) -> int:
        cdef int64_t newest = 0
        for i in range(self.flow.count):
            newest = max(newest, <int64_t> FOV_LOAD_RELAXED(<uint64_t*> &self.flow.tracks[i].media_ns))
        return newest

    def counters(self) -> dict:
        cdef fov_track* track
        cdef dict sums = dict.fromkeys(
            ("packets", "lost", "late", "reordered", "foreign", "corrupt", "cut", "unsupported", "malformed"), 0
        )
        for i in range(self.flow.count):
            track = &self.flow.tracks[i]
            sums["packets"] += FOV_LOAD_RELAXED(&track.sequence.received)
            sums["lost"] += FOV_LOAD_RELAXED(&track.sequence.lost)
            sums["late"] += FOV_LOAD_RELAXED(&track.late)
            sums["reordered"] += FOV_LOAD_RELAXED(&track.order.reordered)
            sums["foreign"] += FOV_LOAD_RELAXED(&track.foreign)
            if fov_track_is_video(track):
                sums["corrupt"] += FOV_LOAD_RELAXED(&track.as_.video.corrupt)
                sums["cut"] += FOV_LOAD_RELAXED(&track.as_.video.cut)
                sums["unsupported"] += FOV_LOAD_RELAXED(&track.as_.video.unsupported)
                sums["malformed"] += FOV_LOAD_RELAXED(&track.as_.video.malformed)
            else:
                sums["malformed"] += FOV_LOAD_RELAXED(&track.as_.plain.malformed)
        sums["garbage_bytes"] = FOV_LOAD_RELAXED(&self.flow.garbage)
        sums["received_bytes"] = FOV_LOAD_RELAXED(&self.flow.received_bytes)
        return sums


cdef class Loop:
    cdef object __weakref__
    cdef fov_loop loop
    cdef fov_socket alarm
    cdef bint running, ended
    cdef set flows

    def __cinit__(self, int wake, int alarm, *, int64_t batch_ns, int64_t datagram_ns, bint portable=False):
        cdef int64_t offset_ns = time.monotonic_ns() - fov_net_now_ns()
        cdef int code
        if batch_ns <= 0 or datagram_ns <= 0:
            raise ValueError("a batch takes time")
        code = fov_loop_open(&self.loop, wake, batch_ns, datagram_ns, portable)
        if code:
            raise failed("no event loop", code)
        if not -1_000_000 < offset_ns < 1_000_000:
            self.loop.offset_ns = offset_ns  # the clocks differ by more than the time it took to read them
        self.alarm = alarm
        self.flows = set()

    def __dealloc__(self):
        fov_loop_close(&self.loop)

    def run(self) -> None:
        if self.running or self.ended:
            raise ValueError("a loop runs once")
        self.running = True
        with nogil:
            fov_loop_run(&self.loop)
        self.running, self.ended = False, True  # from here on, nothing can be added
        fov_loop_finish(&self.loop)

    def add(self, Flow flow, int stream) -> None:
        if flow.seated or flow.closed:
            raise ValueError("a flow flows once")
        if self.ended:
            raise failed("the event loop has ended", errno.ESHUTDOWN)
        flow.seat.stream = stream
        flow.seated = True
        self.flows.add(flow)
        fov_loop_add(&self.loop, &flow.seat)
        self.wake()

    def forget(self, Flow flow) -> None:
        if not flow.seated:
            self.flows.discard(flow)

    def wake(self) -> None:
        cdef int code
        if not self.ended:
            fov_net_send(self.alarm, b"!", 1, &code)

    def stop(self) -> None:
        fov_loop_stop(&self.loop)
        self.wake()

    @property
    def sweeps(self) -> int:
        return FOV_LOAD_RELAXED(&self.loop.sweeps)

    @property
    def reads(self) -> int:
        return FOV_LOAD_RELAXED(&self.loop.reads)

    @property
    def early(self) -> int:
        return FOV_LOAD_RELAXED(&self.loop.early)

    @property
    def seated(self) -> int:
        return FOV_LOAD_RELAXED(&self.loop.seated)
