"""Clips: generated, loaded from files, and cut out of a timeline."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_timeline import MemoryTimeline
from streams import audio, metadata, video

from fovideo.errors import CameraBroken, NothingThere, UnsupportedStream, UsageError
from fovideo.media.codec import Codec
from fovideo.media.nal import digest_video
from fovideo.replay import cut_clip, load_clip, make_clip
from fovideo.replay.clip import ranks
from fovideo.replay.cut import common_rate

SHARED = Path(__file__).parents[3] / "shared/clips"


@pytest.mark.parametrize(
    ("codec", "sound", "suffix"),
    [
        ("h264", None, "mp4"),
        ("h264", "aac", "mkv"),
        ("h265", "opus", "mp4"),
        ("h264", "pcmu", "mov"),
        ("h265", "pcma", "mov"),
        ("h264", "aac", "ts"),
    ],
)
def test_what_is_made_is_loaded(tmp_path: Path, codec: str, sound: str | None, suffix: str) -> None:
    path = tmp_path / f"clip.{suffix}"
    make_clip(path, codec, width=160, height=96, fps=10, seconds=2, gop=5, b_frames=2, audio=sound)
    clip = load_clip(path)
    video = clip.video
    assert video is not None
    assert (video.track.codec.value, video.rate, len(video.samples)) == (codec, 10, 20)
    assert [place for place, sample in enumerate(video.samples) if sample.key] == [0, 5, 10, 15]
    assert sorted(sample.rank for sample in video.samples) == list(range(20))
    assert 1 <= video.delay <= 2
    assert (video.track.width, video.track.height) == (160, 96)
    assert len(video.track.parameter_sets) == (2 if codec == "h264" else 3)
    if sound is None:
        assert len(clip.tracks) == 1
    else:
        track = clip.tracks[1]
        assert (track.track.codec.value, track.track.channels) == (sound, 1)
        assert len(track.samples) / track.rate == pytest.approx(2, abs=0.1)
        assert bool(track.track.config) == (sound in ("aac", "opus"))


def test_the_same_arguments_make_the_same_clip(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make_clip(tmp_path / f"{name}.mp4", width=64, height=64, seconds=0.4, seed=seed)
    one, same, other = ((tmp_path / f"{name}.mp4").read_bytes() for name in "abc")
    assert one == same
    assert one != other


def test_slices_are_those_of_the_file(tmp_path: Path) -> None:
    make_clip(tmp_path / "x.mp4", seconds=1, b_frames=2, gop=10)
    with av.open(str(tmp_path / "x.mp4")) as container:
        wanted = [
            digest_video(bytes(packet), Codec.H264) for packet in container.demux(video=0) if packet.size
        ]
    video = load_clip(tmp_path / "x.mp4").video
    assert video is not None
    assert [digest_video(sample.lengths, Codec.H264) for sample in video.samples] == wanted


def test_fps_replaces_the_clips_own(tmp_path: Path) -> None:
    make_clip(tmp_path / "x.mp4", width=64, height=64, seconds=0.4)
    video = load_clip(tmp_path / "x.mp4", fps=12.5).video
    assert video is not None
    assert video.rate == Fraction(25, 2)


def test_a_raw_stream_without_times(tmp_path: Path) -> None:
    make_clip(tmp_path / "x.h264", width=64, height=64, seconds=0.4)
    video = load_clip(tmp_path / "x.h264").video
    assert video is not None
    assert (len(video.samples), video.rate) == (10, 25)


def test_files_that_cannot_be_a_camera(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_clip(tmp_path / "absent.mp4")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(CameraBroken, match=r"text\.mp4"):
        load_clip(tmp_path / "text.mp4")
    with av.open(str(tmp_path / "x.mkv"), "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for packet in [*stream.encode(av.VideoFrame(64, 64, "yuv420p")), *stream.encode(None)]:
            out.mux(packet)
    with pytest.raises(UnsupportedStream):
        load_clip(tmp_path / "x.mkv")
    for arguments in ({"codec": "vp9"}, {"audio": "mp3"}):
        with pytest.raises(UsageError):
            make_clip(tmp_path / "y.mp4", **arguments)  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        make_clip(tmp_path / "y.mp4", audio="pcmu")


@given(st.permutations(range(12)))
def test_ranks_put_frames_in_order(order: list[int]) -> None:
    assert ranks([place * 40 - 7 for place in order]) == list(order)


def test_without_times_presentation_is_decode_order() -> None:
    assert ranks([3, None, 1]) == [0, 1, 2]


def test_cut_from_a_timeline() -> None:
    timeline = MemoryTimeline()
    made, sound = video(Codec.H265, count=40, b_frames=2), audio(Codec.OPUS, 1.6)
    rows = timeline.record(made, sound, metadata())
    clip = cut_clip(timeline, "gate", rows[1].start_ns, rows[3].start_ns)
    assert [track.track.codec for track in clip.tracks] == [Codec.H265, Codec.OPUS]
    assert clip.video is not None
    assert (clip.video.rate, len(clip.video.samples), clip.video.delay) == (25, 20, 2)
    assert [sample.lengths for sample in clip.video.samples] == made.payloads[10:30]
    assert clip.tracks[1].rate == 50
    with pytest.raises(NothingThere):
        cut_clip(timeline, "gate", 0, 10**9)


def test_measured_rates_snap_to_usual_ones() -> None:
    assert common_rate(Fraction(10**9, 39_999_989)) == 25
    assert common_rate(Fraction(10**9, 33_366_655)) == Fraction(30_000, 1001)
    assert common_rate(Fraction(17)) == 17


@pytest.mark.skipif(not SHARED.exists(), reason="no footage in ../shared")
@pytest.mark.parametrize(
    ("name", "frames", "rate"),
    [("car-detection.mp4", 377, 12.5), ("one-by-one-person-detection.mp4", 1394, 10)],
)
def test_real_footage(name: str, frames: int, rate: float) -> None:
    video = load_clip(SHARED / name).video
    assert video is not None
    assert (len(video.samples), float(video.rate)) == (frames, rate)
