"""The reading loop without the interpreter lock: the same units as by PyAV, from files and live cameras."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from av.container import InputContainer

from fovideo.camera import _demux
from fovideo.camera._connection import WHY_NOT, Connection
from fovideo.camera.tracks import SourceTrack, source_tracks, streams_of
from fovideo.media.frames import FrameFlag
from fovideo.media.nal import packing_of
from fovideo.replay import LoopSource, RtspServer, make_clip
from fovideo.ring import NO_TIME, Kind, Ring, Units
from fovideo.times import NS_PER_S

pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=f"no reading without PyAV: {WHY_NOT}")
FORMATS = 1  # units before the first frame
FACTS = ["pts_ns", "wall_ns", "value", "digest", "size", "session", "kind", "track", "flags"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One clip in containers that differ in NAL form, time base, side data and audio."""
    folder = tmp_path_factory.mktemp("clips")
    paths = {}
    for name, codec, audio in (
        ("h264.mp4", "h264", "aac"),
        ("h265.mkv", "h265", "opus"),
        ("h264.mov", "h264", "pcmu"),
    ):
        make_clip(folder / name, codec, width=160, height=96, seconds=1.2, gop=10, b_frames=2, audio=audio)
        paths[name] = folder / name
    with av.open(paths["h264.mp4"]) as source, av.open(folder / "h264.ts", "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    paths["h264.ts"] = folder / "h264.ts"
    return paths


@contextlib.contextmanager
def opened(path: Path | str, **options: str) -> Iterator[Connection]:
    connection = Connection()
    av.error.err_check(connection.open(str(path), options, timeout_ns=20 * NS_PER_S, paused=False))
    av.error.err_check(connection.explore())
    try:
        yield connection
    finally:
        connection.close()


def tracks_of(source: InputContainer | Connection) -> list[SourceTrack]:
    return source_tracks(streams_of(source), audio=True, metadata=True, source="test")


def lanes(
    sources: list[SourceTrack], by_hand: bool = False
) -> list[tuple[int, int, int, int, int, int, bool]]:
    return [
        (
            source.index,
            source.track.id,
            packing_of(source.track.codec, annexb=not source.nal_length_size),
            source.nal_length_size or 4,
            source.numerator,
            source.denominator,
            by_hand,
        )
        for source in sources
    ]


def read(container: Connection, ring: Ring, **changes: Any) -> tuple[int, _demux.Counters]:
    """Run to the end, telling news itself; what it returned, and the counters."""
    counters = changes.pop("counters", None) or _demux.Counters()
    listeners = {_demux.LIVE: changes.pop("on_live", None), _demux.PRESSURE: changes.pop("on_pressure", None)}

    def on_news() -> None:
        news = counters.take_news()
        for bit, listener in listeners.items():
            if news & bit and listener is not None:
                listener()

    arguments: dict[str, Any] = {
        "tracks": lanes(tracks_of(container)),
        "session": 9,
        "freeze_ns": 0,
        "batch_ns": 0,
        "start": b"what it is",
        "news_fd": -1,
        "news_number": 1,
        "on_news": on_news,
        "on_fragment": lambda *_: None,
    }
    return _demux.run(container, ring, counters, **(arguments | changes)), counters


def frames_of(ring: Ring) -> Units:
    rows = ring.units()
    assert rows["kind"][:FORMATS].tolist() == [Kind.FORMAT]
    return rows[FORMATS:]


def is_error(code: int, kind: type[av.error.FFmpegError]) -> bool:
    try:
        av.error.err_check(code)
    except kind:
        return True
    return False


def is_end(code: int) -> bool:
    return is_error(code, av.error.EOFError)


def oracle(path: Path, ring: Ring) -> None:
    """The same packets by PyAV and Python."""
    with av.open(str(path)) as container:
        sources = {source.index: source for source in tracks_of(container)}
        for packet in container.demux():
            source = sources.get(packet.stream_index)
            if source is None or not packet.size:
                continue
            pts, video = packet.pts, source.track.codec.is_video
            assert ring.push_unit(
                kind=Kind.FRAME,
                track=source.track.id,
                pts_ns=NO_TIME if pts is None else pts * source.numerator * NS_PER_S // source.denominator,
                wall_ns=NO_TIME,
                receipt_ns=0,
                session=9,
                payload=packet,
                packing=packing_of(source.track.codec, annexb=not source.nal_length_size),
                flags=0 if video else FrameFlag.KEY,
                length_size=source.nal_length_size or 4,
            )


@pytest.mark.parametrize("name", ["h264.mp4", "h265.mkv", "h264.mov", "h264.ts"])
def test_the_same_units_as_by_pyav(clips: dict[str, Path], name: str) -> None:
    with Ring(4 << 20) as ring, Ring(4 << 20) as expected, opened(clips[name]) as container:
        before_ns = time.monotonic_ns()
        code, counters = read(container, ring)
        assert is_end(code)
        oracle(clips[name], expected)
        ours, theirs = frames_of(ring), expected.units()
        assert len(ours) >= 30
        assert ours[FACTS].tolist() == theirs[FACTS].tolist()
        for mine, other in zip(ours, theirs, strict=True):
            payload = ring.payload(mine["position"], mine["size"])
            assert payload == expected.payload(other["position"], other["size"])
        assert (ours["receipt_ns"][1:] >= ours["receipt_ns"][:-1]).all()
        assert before_ns <= ours["receipt_ns"][0] <= ours["receipt_ns"][-1] <= time.monotonic_ns()
        assert counters.frames == len(ours)
        assert counters.dropped_frames == 0
        assert counters.bytes > 0
        assert counters.last_receipt_ns == ours["receipt_ns"][-1]
        assert counters.last_video_ns == ours["receipt_ns"][ours["track"] == 1][-1]


def test_streams_that_were_not_asked_for_are_skipped(clips: dict[str, Path]) -> None:
    with Ring(4 << 20) as ring, opened(clips["h264.mp4"]) as container:
        code, _ = read(container, ring, tracks=lanes(tracks_of(container))[1:])
        assert is_end(code)
        assert set(frames_of(ring)["track"].tolist()) == {2}


def test_a_full_ring_drops_and_tells(clips: dict[str, Path]) -> None:
    told = []
    with Ring(65_536) as ring, opened(clips["h264.mov"]) as container:
        ring.push(bytes(45_000))
        code, counters = read(container, ring, on_pressure=lambda: told.append(ring.used_bytes))
        assert is_end(code)
        assert counters.dropped_frames == ring.dropped_units > 0
        assert counters.frames == ring.dropped_units + ring.pushed_units - FORMATS
        assert told


def test_the_first_frame_is_announced_before_it_is_there(clips: dict[str, Path]) -> None:
    seen = []
    with Ring(4 << 20) as ring, opened(clips["h264.mp4"]) as container:
        code, _ = read(container, ring, on_live=lambda: seen.append(ring.pushed_units))
        assert is_end(code)
    assert seen == [FORMATS]


def test_news_do_not_take_the_interpreter(clips: dict[str, Path]) -> None:
    heard: list[int] = []
    read_fd, write_fd = os.pipe()
    with Ring(1 << 20) as ring, opened(clips["h264.mp4"]) as container:
        ring.push(bytes(600_000))
        changes = {"news_fd": write_fd, "news_number": 7, "on_news": lambda: heard.append(1)}
        code, counters = read(container, ring, **changes)
        assert is_end(code)
    os.close(write_fd)
    assert os.read(read_fd, 100) == (7).to_bytes(8, sys.byteorder)  # nobody took the first, so there is one
    os.close(read_fd)
    assert not heard
    assert counters.take_news() == _demux.LIVE | _demux.PRESSURE
    assert counters.take_news() == 0


def test_no_room_for_a_session(clips: dict[str, Path]) -> None:
    told = []
    with Ring(65_536) as ring, opened(clips["h264.mp4"]) as container:
        while ring.push(bytes(1000)):
            pass
        code, counters = read(container, ring, start=bytes(4000), on_live=lambda: told.append(1))
        assert code == _demux.NO_ROOM
        assert (ring.pushed_units, counters.frames, told) == (0, 0, [])


def test_packets_by_hand(clips: dict[str, Path]) -> None:
    got: list[tuple[bytes, int, int, int]] = []
    with Ring(4 << 20) as ring, Ring(4 << 20) as expected, opened(clips["h264.mov"]) as container:
        code, counters = read(
            container,
            ring,
            tracks=lanes(tracks_of(container), by_hand=True),
            on_fragment=lambda *fragment: got.append(fragment),
        )
        assert is_end(code)
        oracle(clips["h264.mov"], expected)
        rows = expected.units()
        assert [fragment[1] for fragment in got] == rows["pts_ns"].tolist()
        sound = [bytes(expected.payload(r["position"], r["size"])) for r in rows if r["track"] == 2]
        assert [f[0] for f, r in zip(got, rows, strict=True) if r["track"] == 2] == sound
        assert {fragment[2] for fragment in got} == {NO_TIME}
        assert (ring.pushed_units, counters.frames) == (FORMATS, 0)


@pytest.mark.parametrize("callback", ["on_live", "on_fragment", "on_pressure"])
def test_an_error_of_a_callback_comes_out(clips: dict[str, Path], callback: str) -> None:
    def fail(*_: object) -> None:
        raise LookupError("from the callback")

    with Ring(65_536) as ring, opened(clips["h264.mov"]) as container:
        ring.push(bytes(50_000))
        changes: dict[str, Any] = {callback: fail}
        if callback == "on_fragment":
            changes["tracks"] = lanes(tracks_of(container), by_hand=True)
        with pytest.raises(LookupError, match="from the callback"):
            read(container, ring, **changes)


def test_sound_alone_is_not_a_picture(clips: dict[str, Path]) -> None:
    with Ring(4 << 20) as ring, opened(clips["h264.mov"]) as container:
        code, _ = read(container, ring, freeze_ns=1)
        assert code == _demux.VIDEO_SILENT
        assert ring.units()["track"].tolist()[-1] == 2


def test_interrupted_between_two_packets(clips: dict[str, Path]) -> None:
    with Ring(4 << 20) as ring, opened(clips["h264.mp4"]) as container:
        code, _ = read(container, ring, on_live=lambda: container.interrupt())
        assert code == _demux.STOPPED
        assert ring.pushed_units == FORMATS + 1


def test_what_is_not_open_cannot_be_read() -> None:
    connection = Connection()
    with Ring(4 << 20) as ring:
        with pytest.raises(ValueError, match="not open"):
            read(connection, ring, tracks=[])
        assert ring.pushed_units == 0
    connection.close()


@pytest.mark.parametrize(
    "lane",
    [
        (32, 1, 1, 4, 1, 90000, False),
        (0, 0, 1, 4, 1, 90000, False),
        (0, 1, 5, 4, 1, 90000, False),
        (0, 1, 3, 0, 1, 90000, False),
        (0, 1, 1, 4, 1, 0, False),
    ],
)
def test_tracks_that_cannot_be(clips: dict[str, Path], lane: tuple[int, ...]) -> None:
    with (
        Ring(4 << 20) as ring,
        opened(clips["h264.mp4"]) as container,
        pytest.raises(ValueError, match="not a track"),
    ):
        read(container, ring, tracks=[lane])


def test_a_closed_ring(clips: dict[str, Path]) -> None:
    ring = Ring(65_536)
    ring.close()
    with opened(clips["h264.mp4"]) as container, pytest.raises(ValueError, match="closed"):
        read(container, ring)


def test_a_thread_that_holds_the_interpreter_does_not_stop_it(clips: dict[str, Path]) -> None:
    """While this thread computes and never gives the lock away, the other one reads the whole file."""
    counters, first = _demux.Counters(), threading.Event()
    interval = sys.getswitchinterval()
    with Ring(4 << 20) as ring, Ring(4 << 20) as expected, opened(clips["h264.mp4"]) as container:
        oracle(clips["h264.mp4"], expected)
        whole = expected.pushed_units
        reader = threading.Thread(
            target=read, args=(container, ring), kwargs={"counters": counters, "on_live": first.set}
        )
        sys.setswitchinterval(1000)
        try:
            reader.start()
            assert first.wait(20)
            deadline = time.monotonic() + 20
            while counters.frames < whole and time.monotonic() < deadline:
                pass
            assert counters.frames == whole
        finally:
            sys.setswitchinterval(interval)
            reader.join(20)


class Live:
    """A camera over RTSP, read by a thread of its own."""

    def __init__(self, server: RtspServer, source: LoopSource, transport: str) -> None:
        self.source, self.ring, self.counters = source, Ring(4 << 20), _demux.Counters()
        url = server.add_stream("camera", source)
        self.connection = Connection()
        options = {"rtsp_transport": transport}
        code = self.connection.open(url, options, timeout_ns=20 * NS_PER_S, paused=True)
        av.error.err_check(code)
        self.code = 1
        self.enough = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self.code, _ = read(self.connection, self.ring, counters=self.counters)

    def wait_for(self, frames: int) -> None:
        deadline = time.monotonic() + 20
        while self.counters.frames < frames and time.monotonic() < deadline:
            self.enough.wait(0.02)
        assert self.counters.frames >= frames

    def stop(self) -> int:
        self.connection.interrupt()
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self.code

    def close(self) -> None:
        self.stop()
        self.connection.close()
        self.ring.close()


@pytest.fixture(params=["tcp", "udp"])
def live(clips: dict[str, Path], request: pytest.FixtureRequest) -> Iterator[Live]:
    with RtspServer() as server:
        camera = Live(server, LoopSource(clips["h264.mp4"], marker=7, audio=False), request.param)
        try:
            yield camera
        finally:
            camera.close()


def test_a_live_camera_with_its_clock(live: Live) -> None:
    live.wait_for(40)
    code = live.stop()
    assert code == _demux.STOPPED or is_error(code, av.error.ExitError)
    rows = frames_of(live.ring)
    sent = live.source.sent()
    at = [frame.digest for frame in sent].index(rows["digest"][0])
    sent = sent[at : at + len(rows)]
    assert rows["digest"].tolist() == [frame.digest for frame in sent]
    off_ns = [
        abs(int(row["wall_ns"]) - frame.time_ns)
        for row, frame in zip(rows, sent, strict=True)
        if row["wall_ns"] != NO_TIME
    ]
    assert len(off_ns) >= 20
    assert max(off_ns[2:]) < 2_000_000  # a sender report has microseconds in libavformat, RTP ticks of 11


def test_a_frozen_camera_is_interrupted(live: Live) -> None:
    live.wait_for(5)
    live.source.freeze()
    code = live.stop()
    assert code == _demux.STOPPED or is_error(code, av.error.ExitError)
