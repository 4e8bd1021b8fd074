"""MP4 export: the same pictures, at the right times, whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import av
import pytest
from memory_timeline import MemoryTimeline
from streams import FRAME_NS, T0_NS, Made, audio, metadata, video

from fovideo.errors import NothingThere, StoreError, StoreFull
from fovideo.media.codec import Codec
from fovideo.media.nal import digest_video
from fovideo.replay import export_mp4


def later(made: Made, by_ns: int) -> Made:
    frames = made.frames.copy()
    frames["time_ns"] += by_ns
    frames["dts_ns"] += by_ns
    return made._replace(frames=frames)


def recorded(*streams: Made) -> MemoryTimeline:
    timeline = MemoryTimeline()
    timeline.record(*streams, pieces=2)
    return timeline


def digests(source: Any, codec: Codec) -> list[int]:
    with av.open(source) as container:
        return [digest_video(bytes(packet), codec) for packet in container.demux(video=0) if packet.size]


def shown(source: Any) -> list[int]:
    """Presentation times of the decoded pictures, in frames of the test streams."""
    with av.open(source) as container:
        base = container.streams.video[0].time_base
        return [round(float(frame.pts * base) * 10**9 / FRAME_NS) for frame in container.decode(video=0)]


@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_a_file_has_the_same_frames_at_their_times(tmp_path: Path, codec: Codec, b_frames: int) -> None:
    made, sound = video(codec, 40, b_frames=b_frames), audio(Codec.AAC, 1.6)
    path = tmp_path / "x.mp4"
    report = export_mp4(recorded(made, sound, metadata()), "gate", None, None, path)
    assert digests(str(path), codec) == made.frames["digest"].tolist()
    assert shown(str(path)) == list(range(40))
    assert (report.video_frames, report.audio_frames, report.left_out) == (40, len(sound.payloads), 5)
    assert (report.start_ns, report.container) == (T0_NS, "mp4")
    with av.open(str(path)) as container:
        assert container.metadata["creation_time"].startswith("2026-09-21T14:13:20")
        assert container.duration == pytest.approx(1_600_000, abs=60_000)
        assert sum(bool(packet.size) for packet in container.demux(audio=0)) == len(sound.payloads)
    assert [file.name for file in tmp_path.iterdir()] == ["x.mp4"]


@pytest.mark.parametrize("sound", [Codec.OPUS, Codec.PCMU, Codec.PCMA])
def test_every_kind_of_audio(tmp_path: Path, sound: Codec) -> None:
    made = audio(sound)
    report = export_mp4(recorded(video(), made), "gate", None, None, tmp_path / "x.mp4")
    assert report.container == ("mp4" if sound is Codec.OPUS else "mov")
    with av.open(str(tmp_path / "x.mp4")) as container:
        data = b"".join(bytes(packet) for packet in container.demux(audio=0))
    assert data == b"".join(made.payloads)


def test_a_stretch_begins_with_its_keyframe(tmp_path: Path) -> None:
    made = video(Codec.H264, 40, b_frames=2)
    export_mp4(recorded(made), "gate", T0_NS + 13 * FRAME_NS, T0_NS + 25 * FRAME_NS, tmp_path / "x.mp4")
    assert digests(str(tmp_path / "x.mp4"), Codec.H264) == made.frames["digest"].tolist()[10:26]


class Pipe(io.RawIOBase):
    """A stream that can't seek, as stdout is."""

    def __init__(self) -> None:
        self.data = b""

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def write(self, data: Any) -> int:
        self.data += bytes(data)
        return len(data)


@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
def test_to_a_stream_that_cannot_seek(codec: Codec) -> None:
    made, pipe = video(codec, 40, b_frames=2), Pipe()
    export_mp4(recorded(made, audio(Codec.AAC, 1.6)), "gate", None, None, pipe)
    assert b"moof" in pipe.data
    assert digests(io.BytesIO(pipe.data), codec) == made.frames["digest"].tolist()
    assert shown(io.BytesIO(pipe.data)) == list(range(40))


def test_to_a_real_pipe() -> None:
    made = video(Codec.H264, 40)
    read_end, write_end = os.pipe()
    got: list[bytes] = []
    with os.fdopen(read_end, "rb") as reader:
        thread = threading.Thread(target=lambda: got.append(reader.read()))
        thread.start()
        with os.fdopen(write_end, "wb") as writer:
            export_mp4(recorded(made), "gate", None, None, writer)
        thread.join()
    assert digests(io.BytesIO(got[0]), Codec.H264) == made.frames["digest"].tolist()


def test_to_a_pipe_whose_reader_left() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb", buffering=0) as writer, pytest.raises(BrokenPipeError):
        export_mp4(recorded(video(Codec.H264, 200)), "gate", None, None, writer)


def test_a_gap_does_not_make_a_file_longer_than_what_it_holds(tmp_path: Path) -> None:
    timeline = recorded(video(Codec.H264, 20))
    timeline.record(later(video(Codec.H264, 1), 250 * FRAME_NS))
    timeline.record(later(video(Codec.H264, 1), 300 * FRAME_NS))
    export_mp4(timeline, "gate", None, None, path := tmp_path / "x.mp4")
    with av.open(str(path)) as container:
        assert container.duration is not None
        assert round(container.duration * 1000 / FRAME_NS) == 301


def test_to_a_seekable_stream() -> None:
    out = io.BytesIO()
    export_mp4(recorded(video(Codec.H264, 20)), "gate", None, None, out)
    assert len(digests(io.BytesIO(out.getvalue()), Codec.H264)) == 20


def test_gaps_keep_real_time_or_are_closed(tmp_path: Path) -> None:
    timeline = recorded(video(Codec.H264, 20))
    timeline.record(later(video(Codec.H264, 20), 250 * FRAME_NS))
    export_mp4(timeline, "gate", None, None, tmp_path / "kept.mp4")
    export_mp4(timeline, "gate", None, None, tmp_path / "closed.mp4", gaps="close")
    assert shown(str(tmp_path / "kept.mp4")) == [*range(20), *range(250, 270)]
    assert shown(str(tmp_path / "closed.mp4")) == list(range(40))


def test_new_parameter_sets_come_along(tmp_path: Path) -> None:
    """A camera that tells its parameter sets only in its session description, and changes them."""

    def bare(made: Made) -> Made:
        payloads = [b"".join(_without_sets(payload)) for payload in made.payloads]
        frames = made.frames.copy()
        frames["flags"] &= 1
        frames["size"] = [len(payload) for payload in payloads]
        return made._replace(frames=frames, payloads=payloads)

    first, second = video(Codec.H264, 20), video(Codec.H264, 20, b_frames=2)
    assert first.track.parameter_sets != second.track.parameter_sets
    timeline = recorded(bare(first))
    timeline.record(bare(later(second, 20 * FRAME_NS)), session="aa" * 8)
    export_mp4(timeline, "gate", None, None, tmp_path / "x.mp4")
    assert shown(str(tmp_path / "x.mp4")) == list(range(40))


def _without_sets(sample: bytes) -> list[bytes]:
    out, at = [], 0
    while at < len(sample):
        end = at + 4 + int.from_bytes(sample[at : at + 4], "big")
        if sample[at + 4] & 0x1F not in (7, 8):
            out.append(sample[at:end])
        at = end
    return out


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(NothingThere, match="memory gate"):
        export_mp4(recorded(video()), "gate", 0, 10**9, tmp_path / "x.mp4")
    assert not list(tmp_path.iterdir())


def test_an_export_that_fails_leaves_nothing_and_harms_nothing(tmp_path: Path) -> None:
    timeline = recorded(video(Codec.H264, 30))
    last = timeline.rows[-1].serial
    timeline.data[last] = timeline.data[last][:-5]
    (tmp_path / "x.mp4").write_text("was here before")
    with pytest.raises(StoreError):
        export_mp4(timeline, "gate", None, None, tmp_path / "x.mp4")
    assert (tmp_path / "x.mp4").read_text() == "was here before"
    assert len(list(tmp_path.iterdir())) == 1


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="absent"):
        export_mp4(recorded(video()), "gate", None, None, tmp_path / "absent" / "x.mp4")


class Full(Pipe):
    def write(self, data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


class Closed(Pipe):
    def write(self, data: Any) -> int:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def test_a_full_disk_and_a_reader_that_went_away() -> None:
    with pytest.raises(StoreFull):
        export_mp4(recorded(video()), "gate", None, None, Full())
    with pytest.raises(BrokenPipeError):
        export_mp4(recorded(video()), "gate", None, None, Closed())


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is absent")
@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
def test_ffmpeg_decodes_it_without_a_word(tmp_path: Path, codec: Codec) -> None:
    path = tmp_path / "x.mp4"
    export_mp4(recorded(video(codec, 40, b_frames=2), audio(Codec.AAC)), "gate", None, None, path)
    command = ["ffmpeg", "-v", "warning", "-xerror", "-i", str(path), "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
