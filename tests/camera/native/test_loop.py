"""The event loop by itself, over pairs of sockets."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import sys
import threading
from collections.abc import Iterator

import pytest
from native_flows import START, TYPE
from scripted_camera import frame
from waiting import wait_until

from fovideo.camera import _native
from fovideo.camera.native import Ingest
from fovideo.errors import CameraError
from fovideo.replay.rtp import rtcp
from fovideo.ring import Kind, Ring
from fovideo.times import NS_PER_MS, NS_PER_S

PATIENCE_S = 20.0
QUICK = {"batch_ns": 20 * NS_PER_MS, "datagram_ns": 5 * NS_PER_MS}


class Line:
    """A flow in a loop, and the camera's end of its connection."""

    def __init__(self, loop: Ingest, *, udp: bool = False, freeze_ns: int = 3600 * NS_PER_S) -> None:
        self.loop = loop
        self.camera, self.ours = socket.socketpair()
        self.ours.setblocking(False)
        self.ring = Ring(8 << 20)
        self.flow = _native.Flow(self.ring, session=1, start=START, freeze_ns=freeze_ns)
        self.datagrams = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2 * udp)]
        for _, end in self.datagrams:
            end.setblocking(False)
        self.flow.add_track(
            _native.H264,
            track=1,
            payload_type=TYPE,
            rate=90_000,
            own_ssrc=0xABCD,
            channels=None if udp else (0, 1),
            sockets=(self.datagrams[0][1].fileno(), self.datagrams[1][1].fileno()) if udp else None,
        )
        loop.add(self.flow, self.ours)

    def wait(self, event: int) -> None:
        """Wait until the flow has told this."""
        seen = 0
        while not seen & event:
            news = self.flow.wait(PATIENCE_S)
            assert news, "waited in vain"
            seen |= news

    def frames(self) -> int:
        return int((self.ring.units(None, 1 << 20)["kind"] == Kind.FRAME).sum())

    def close(self) -> None:
        if not self.flow.ended:
            self.flow.leave()
            self.loop.wake()
            self.wait(_native.ENDED)
        self.loop.forget(self.flow)
        for end in (self.camera, self.ours, *(end for pair in self.datagrams for end in pair)):
            end.close()


@pytest.fixture(params=["best", "portable"])
def loop(request: pytest.FixtureRequest) -> Iterator[Ingest]:
    with Ingest(portable=request.param == "portable", **QUICK) as made:
        yield made


@pytest.fixture
def line(loop: Ingest) -> Iterator[Line]:
    with contextlib.closing(Line(loop)) as made:
        yield made


def test_packets_reach_the_ring(line: Line) -> None:
    line.camera.sendall(b"".join(frame(number, key=number == 0) for number in range(10)))
    line.wait(_native.LIVE)
    wait_until(lambda: line.frames() == 10, "frames")
    assert line.loop.sessions == 1


def test_the_end_of_the_connection_ends_the_flow(line: Line) -> None:
    line.camera.sendall(frame(0) + frame(1))
    line.camera.shutdown(socket.SHUT_WR)
    line.wait(_native.ENDED)
    assert line.flow.end == _native.END_EOF
    assert line.frames() == 2


def test_a_reset_ends_the_flow(loop: Ingest) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        camera, _ = listener.accept()
    made = Line(loop)
    second = _native.Flow(made.ring, session=2, start=START, freeze_ns=NS_PER_S)
    made.close()
    ours.setblocking(False)
    loop.add(second, ours)
    camera.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    camera.close()
    while not second.ended:
        assert second.wait(PATIENCE_S)
    assert (second.end, second.error) == (_native.END_ERROR, errno.ECONNRESET)
    ours.close()


def test_what_has_come_is_read_before_a_flow_leaves() -> None:
    with Ingest(batch_ns=3600 * NS_PER_S) as loop, contextlib.closing(Line(loop)) as line:
        wait_until(lambda: loop.sessions == 1, "the flow is at work")
        line.camera.sendall(b"".join(frame(number) for number in range(20)))
        line.flow.leave()
        loop.wake()
        line.wait(_native.ENDED)
        assert line.flow.end == _native.END_LEFT
        assert line.frames() == 20


@pytest.mark.skipif(sys.platform != "linux", reason="a low-water mark that wakes is Linux's")
def test_a_connection_that_holds_much_is_read_before_its_time() -> None:
    with Ingest(batch_ns=3600 * NS_PER_S) as loop, socket.create_server(("127.0.0.1", 0)) as listener:
        camera = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
        ours.setblocking(False)
        ring = Ring(8 << 20)
        flow = _native.Flow(ring, session=1, start=START, freeze_ns=3600 * NS_PER_S)
        flow.add_track(_native.H264, track=1, payload_type=TYPE, rate=90_000, channels=(0, 1))
        loop.add(flow, ours)
        wait_until(
            lambda: loop.loop.seated == loop.loop.sweeps == 1, "the first sweep, and no other for an hour"
        )
        block = b"".join(frame(number, payload=b"\x41\x9a" + b"x" * 1300) for number in range(1000))
        camera.sendall(block)
        wait_until(lambda: flow.frames > 500, "frames")
        wait_until(lambda: loop.loop.early > 0, "word of it")
        loop.close()
        camera.close()
        ours.close()


def test_silence_is_noticed(loop: Ingest) -> None:
    with contextlib.closing(Line(loop, freeze_ns=50 * NS_PER_MS)) as line:
        line.wait(_native.ENDED)
        assert line.flow.end == _native.END_FROZEN


def test_what_is_sent_arrives_whole_and_in_order(line: Line) -> None:
    line.camera.settimeout(PATIENCE_S)
    texts = [b"%06d" % number * 800 for number in range(10)]
    for text in texts:
        line.flow.send(text)
    wanted, got = b"".join(texts), b""
    while len(got) < len(wanted):
        got += line.camera.recv(65536)
    assert got == wanted


def test_a_peer_that_takes_nothing_is_given_up(line: Line) -> None:
    for _ in range(100):
        line.flow.send(b"x" * 60_000)
    line.wait(_native.ENDED)
    assert (line.flow.end, line.flow.error) == (_native.END_ERROR, errno.ETIMEDOUT)


def test_receiver_reports_say_what_was_lost(line: Line) -> None:
    line.camera.settimeout(PATIENCE_S)
    report = rtcp.sender_report(1, 1_790_000_000_000_000_000, 0, 1, 1, "cam")
    packets = [frame(number) for number in range(65_530, 65_540) if number != 65_535]
    line.camera.sendall(struct.pack(">BBH", 0x24, 1, len(report)) + report + b"".join(packets))
    data = b""
    while len(data) < 4 + 52:
        data += line.camera.recv(65536)
    assert data[:4] == struct.pack(">BBH", 0x24, 1, 52)
    version, kind, length, own, ssrc, lost, highest, jitter, last, _delay = struct.unpack_from(
        ">BBHIIIIIII", data, 4
    )
    assert (version, kind, length, own, ssrc) == (0x81, 201, 7, 0xABCD, 1)
    assert lost == (1 * 255 // 10) << 24 | 1
    assert highest == 1 << 16 | 3
    assert jitter == 0
    assert last == rtcp.ntp64(1_790_000_000_000_000_000) >> 16 & 0xFFFFFFFF
    assert data[36:40] == struct.pack(">BBH", 0x81, 202, 4)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no pairs of datagram sockets")
def test_datagrams_reach_the_ring(loop: Ingest) -> None:
    with contextlib.closing(Line(loop, udp=True)) as line:
        for number in range(100):
            line.datagrams[0][0].send(frame(number)[4:])
        wait_until(lambda: line.frames() == 100, "frames")
        line.datagrams[1][0].settimeout(PATIENCE_S)
        assert line.datagrams[1][0].recv(100)[1] == 201  # a report came back
        line.camera.close()
        line.wait(_native.ENDED)
        assert line.flow.counters()["packets"] == 100


def test_flows_come_and_go(loop: Ingest) -> None:
    for _ in range(20):
        lines = [Line(loop) for _ in range(10)]
        for line in lines:
            line.camera.sendall(frame(0) + frame(1) + frame(2))
        for line in lines:
            line.wait(_native.LIVE)
        for line in lines:
            line.close()
            assert line.flow.frames == 3
    assert loop.sessions == 0


def test_a_closed_loop_takes_nothing_and_has_told_all() -> None:
    loop = Ingest(**QUICK)
    line = Line(loop)
    loop.close()
    line.wait(_native.ENDED)
    assert line.flow.end == _native.END_LEFT
    with pytest.raises(CameraError):
        Line(loop)
    line.close()


def test_a_loop_that_nobody_holds_ends_its_thread() -> None:
    loop = Ingest(**QUICK)
    line = Line(loop)
    line.wait  # noqa: B018
    thread = next(thread for thread in threading.enumerate() if thread.name == "native-ingest")
    line.loop = None  # type: ignore[assignment]
    del loop
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    line.wait(_native.ENDED)
    for end in (line.camera, line.ours):
        end.close()


@pytest.mark.parametrize(
    "arguments",
    [
        {"batch_ns": 0, "datagram_ns": 1},
        {"batch_ns": 1, "datagram_ns": -1},
        {"batch_ns": "soon", "datagram_ns": 1},
        {},
    ],
)
def test_a_loop_that_was_never_opened_closes_nothing(arguments: dict) -> None:
    before = os.fstat(0)
    with pytest.raises((ValueError, TypeError)):
        _native.Loop(0, 0, **arguments)
    assert os.path.samestat(os.fstat(0), before)


def test_misuse_is_refused() -> None:
    ring = Ring(65_536)
    with Ingest(**QUICK) as loop, contextlib.closing(Line(loop)) as line:
        with pytest.raises(ValueError, match="flows once"):
            loop.add(line.flow, line.ours)
        with pytest.raises(ValueError, match="at work"):
            line.flow.feed(b"", 0)
        with pytest.raises(ValueError, match="at work"):
            line.flow.add_track(_native.H264, track=1, payload_type=96, rate=1)
    ring.close()
