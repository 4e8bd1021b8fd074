"""Players that others wrote open segment files, whole, cut and moved, and show what the camera sent."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from streams import (
    FRAME_NS,
    T0_NS,
    Made,
    audio,
    decode_times,
    fragments_of,
    header_of,
    metadata,
    segment,
    video,
)

from fovideo.media import nal, sps
from fovideo.media.codec import VIDEO_TRACK, Codec, Track
from fovideo.media.frames import empty_frames
from fovideo.segment import encode_header, parse_fragment, relocate, scan

CLIPS = Path(__file__).parents[2].parent / "shared" / "clips"
VIDEOS = [(codec, b_frames) for codec in (Codec.H264, Codec.H265) for b_frames in (0, 2)]
AUDIOS = [Codec.AAC, Codec.OPUS, Codec.PCMU, Codec.PCMA]


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def decoder_complaints(path: Path) -> str:
    done = subprocess.run(
        [tool("ffmpeg"), "-v", "error", "-i", str(path), "-f", "null", "-"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


def probe(path: Path, *show: str) -> dict:
    done = subprocess.run(
        [tool("ffprobe"), "-v", "error", "-of", "json", *show, str(path)],
        capture_output=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout)


def pictures(data: bytes) -> list[np.ndarray]:
    with av.open(io.BytesIO(data)) as container:
        return [frame.to_ndarray() for frame in container.decode(video=0)]


def pictures_up_to_damage(data: bytes) -> list[np.ndarray]:
    """What a player shows that goes on until a packet is too torn to decode."""
    shown = []
    with av.open(io.BytesIO(data)) as container:
        try:
            for frame in container.decode(video=0):
                shown.append(frame.to_ndarray())
        except av.error.InvalidDataError:
            shown += [frame.to_ndarray() for frame in container.streams.video[0].codec_context.decode(None)]
    return shown


def sent_pictures(made: Made) -> list[np.ndarray]:
    """What a decoder makes of the samples themselves, without any container."""
    decoder = av.CodecContext.create("h264" if made.track.codec is Codec.H264 else "hevc", "r")
    packets = [av.Packet(nal.to_annexb(payload)) for payload in made.payloads]
    frames = [frame for packet in packets for frame in decoder.decode(packet)]
    return [frame.to_ndarray() for frame in frames + decoder.decode(None)]


def same(ours: list[np.ndarray], theirs: list[np.ndarray]) -> bool:
    return len(ours) == len(theirs) and all((a == b).all() for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(("codec", "b_frames"), VIDEOS)
def test_pictures_are_those_that_the_camera_sent(codec: Codec, b_frames: int) -> None:
    made = video(codec, b_frames=b_frames)
    assert same(pictures(segment(made)[0]), sent_pictures(made))


@pytest.mark.parametrize(("codec", "b_frames"), VIDEOS)
@pytest.mark.parametrize("step", [1, 4, 100])
def test_ffmpeg_sees_the_times_and_has_no_complaint(
    codec: Codec, b_frames: int, step: int, tmp_path: Path
) -> None:
    made = video(codec, b_frames=b_frames)
    path = tmp_path / "x.mp4"
    path.write_bytes(segment(made, step=step)[0])
    found = probe(path, "-show_packets", "-show_streams", "-show_format")
    decode = [packet["dts"] for packet in found["packets"]]
    assert all(earlier < later for earlier, later in pairwise(decode))
    assert [packet["pts"] for packet in found["packets"]] == (
        (made.frames["time_ns"] - T0_NS) * 9 // 10**5
    ).tolist()
    assert [packet["flags"][0] == "K" for packet in found["packets"]] == (
        made.frames["flags"] & 1 == 1
    ).tolist()
    (stream,) = found["streams"]
    assert (stream["width"], stream["height"], stream["codec_tag_string"]) == (
        160,
        90,
        stream["codec_tag_string"],
    )
    assert stream["codec_tag_string"] == {Codec.H264: "avc3", Codec.H265: "hev1"}[codec]
    assert float(found["format"]["start_time"]) == 0
    assert 0 <= float(found["format"]["duration"]) - len(made.frames) * FRAME_NS / 1e9 <= 0.4
    assert decoder_complaints(path) == ""


@pytest.mark.parametrize("codec", AUDIOS)
def test_sound_and_metadata_go_along(codec: Codec, tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    sound, documents = audio(codec), metadata()
    path.write_bytes(segment(video(b_frames=2), sound, documents)[0])
    found = probe(path, "-show_packets", "-show_streams")
    heard = [packet for packet in found["packets"] if packet["codec_type"] == "audio"]
    assert [packet["pts"] for packet in heard] == [
        round(time * sound.track.timescale / 1e9) for time in (sound.frames["time_ns"] - T0_NS).tolist()
    ]
    assert [int(packet["size"]) for packet in heard] == sound.frames["size"].tolist()
    assert [stream["codec_tag_string"] for stream in found["streams"]][2] == "mett"
    assert decoder_complaints(path) == ""
    with av.open(str(path)) as container:
        decoded = sum(frame.samples for frame in container.decode(audio=0))
    lasts = len(sound.frames) * int(sound.frames["dts_ns"][1] - T0_NS) * sound.track.timescale // 10**9
    assert lasts - 400 <= decoded <= lasts + 400


@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
def test_files_cut_anywhere_play_up_to_the_cut(codec: Codec, tmp_path: Path) -> None:
    made = video(codec, b_frames=2)
    data, ends = segment(made)
    sent = sent_pictures(made)
    start, end = ends[3], ends[4]
    head = parse_fragment(data, start).data_offset
    moof, mdat = data.index(b"moof", start) - 4, data.index(b"mdat", start) - 4
    assert mdat == start + head - 8
    cuts = [
        start,
        start + 5,
        start + 60,
        moof - 10,
        moof + 3,
        moof + 60,
        mdat,
        mdat + 4,
        mdat + 8,
        mdat + 100,
        end - 1,
    ]
    whole = sum(len(fragment.frames) for fragment in scan(data[:start], ends[0])[0])
    for cut in cuts:
        shown = pictures_up_to_damage(data[:cut])
        assert len(shown) >= whole, f"cut at {cut}"
        assert same(shown[: whole - 3], sent[: whole - 3]), f"cut at {cut}"
        path = tmp_path / f"{cut}.mp4"
        path.write_bytes(data[:cut])
        assert len(probe(path, "-show_packets")["packets"]) >= whole
        fragments, sound, _ = scan(data[:cut], ends[0])
        assert sum(len(fragment.frames) for fragment in fragments) == whole
        path.write_bytes(data[:sound])
        assert decoder_complaints(path) == ""


def test_a_header_alone_is_an_empty_film(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(encode_header(header_of(video(), audio(Codec.AAC))))
    assert [stream["codec_name"] for stream in probe(path, "-show_streams")["streams"]] == ["h264", "aac"]


@pytest.mark.parametrize("audio_codec", AUDIOS)
def test_fragments_moved_to_another_file_play_from_0(audio_codec: Codec, tmp_path: Path) -> None:
    streams = video(b_frames=2), audio(audio_codec)
    source = header_of(*streams, base_ns=T0_NS - 400 * 10**9)
    parts = fragments_of(source, *streams)[2:]
    first = min(int(parse_fragment(part).frames["dts_ns"].min()) for part in parts)
    there = msgspec.structs.replace(source, base_ns=first, start_ns=first)
    moved = [encode_header(there)]
    for number, part in enumerate(parts, 1):
        head = relocate(parse_fragment(part), part, 0, there, number, 0)
        moved.append(head + part[len(head) :])
    path = tmp_path / "x.mp4"
    path.write_bytes(b"".join(moved))
    assert decoder_complaints(path) == ""
    about = probe(path, "-show_format")["format"]
    assert 0 <= float(about["start_time"]) < 0.05
    assert float(about["duration"]) < 1.5
    shown = sum(len(parse_fragment(part).frames) for part in parts)
    with av.open(str(path)) as container:
        assert sum(1 for packet in container.demux() if packet.size) == shown
    assert same(pictures(path.read_bytes()), sent_pictures(streams[0])[-20:])


def test_fragments_of_a_file_with_another_base_play_from_0_too(tmp_path: Path) -> None:
    made = video(b_frames=2)
    source = header_of(made, base_ns=T0_NS - 400 * 10**9)
    parts = fragments_of(source, made)[2:]
    first = int(parse_fragment(parts[0]).frames["dts_ns"][0])
    path = tmp_path / "x.mp4"
    path.write_bytes(b"".join([encode_header(msgspec.structs.replace(source, start_ns=first)), *parts]))
    packets = probe(path, "-show_packets")["packets"]
    assert min(packet["pts"] for packet in packets) == 0
    assert decoder_complaints(path) == ""


def test_gstreamer_agrees_about_the_times(tmp_path: Path) -> None:
    made = video(b_frames=2)
    path = tmp_path / "x.mp4"
    path.write_bytes(segment(made, audio(Codec.AAC))[0])
    pipeline = f"filesrc location={path} ! qtdemux name=d d.video_0 ! identity silent=false ! fakesink"
    done = subprocess.run(
        [tool("gst-launch-1.0"), "-v", *pipeline.split()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    (start_ns,) = map(int, re.findall(r"GstEventSegment.* start=\(guint64\)(\d+)", done.stdout))
    seconds = re.findall(r"chain .*?, pts: \d+:\d+:([\d.]+)", done.stdout)
    shown_ns = [round(float(text) * 1e9) - start_ns for text in seconds]
    assert shown_ns == (made.frames["time_ns"] - T0_NS).tolist()


def clip(path: Path) -> Made:
    """The first packets of a clip as a camera would send them."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        annexb = BitStreamFilterContext("h264_mp4toannexb", stream)
        # taken over at once: the packets lean on the container and the filter
        units = [
            (bytes(out), out.pts * Fraction(out.time_base))
            for packet in container.demux(stream)
            for out in annexb.filter(packet if packet.size else None)
        ][:150]
    payloads = [nal.annexb_to_lengths(data, Codec.H264) for data, _ in units]
    sets = nal.parameter_sets(payloads[0], Codec.H264)
    frames = empty_frames(len(units))
    earliest = min(time for _, time in units)
    frames["time_ns"] = [T0_NS + int((time - earliest) * 10**9) for _, time in units]
    frames["dts_ns"] = decode_times(frames["time_ns"].tolist())
    frames["size"] = [len(payload) for payload in payloads]
    frames["flags"] = [nal.sample_flags(payload, Codec.H264) for payload in payloads]
    frames["track"] = VIDEO_TRACK
    width, height = sps.video_size(Codec.H264, sets)
    track = Track(id=VIDEO_TRACK, codec=Codec.H264, parameter_sets=sets, width=width, height=height)
    return Made(track, frames, payloads)


@pytest.fixture(params=["car-detection.mp4", "one-by-one-person-detection.mp4"])
def camera_clip(request: pytest.FixtureRequest) -> Made:
    if not (CLIPS / request.param).exists():
        pytest.skip("no footage in ../shared/clips")
    return clip(CLIPS / request.param)


def test_footage_of_real_cameras(camera_clip: Made, tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(segment(camera_clip, step=7)[0])
    assert (camera_clip.track.width, camera_clip.track.height) == (768, 432)
    packets = probe(path, "-show_packets")["packets"]
    times = camera_clip.frames["time_ns"] - camera_clip.frames["time_ns"].min()
    assert [packet["pts"] for packet in packets] == np.round(times * 9 / 10**5).astype(int).tolist()
    decode = [packet["dts"] for packet in packets]
    assert all(earlier < later for earlier, later in pairwise(decode))
    assert decoder_complaints(path) == ""
    assert same(pictures(path.read_bytes()), sent_pictures(camera_clip))
