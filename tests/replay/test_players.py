"""Real players as clients: FFmpeg's libraries and programs, GStreamer. Frames arrive as they were sent."""

from __future__ import annotations

import contextlib
import shutil
import ssl
import statistics
import subprocess
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import av
import pytest
from datagrams import excused_by_drops
from memory_timeline import MemoryTimeline
from rtsp_client import RtspClient
from streams import T0_NS, audio, metadata, video

from fovideo.media.codec import Codec
from fovideo.media.marker import read_marker
from fovideo.media.nal import Stored, digest_video, iter_annexb, packing_of, store_form
from fovideo.replay import Clip, LoopSource, RtspServer, Settings, TimelineSource, metadata_document

pytestmark = pytest.mark.e2e

Clips = Callable[..., Clip]
TRANSPORTS = ["tcp", "udp"]
S = 1_000_000_000


@pytest.fixture
def server() -> Iterator[RtspServer]:
    with RtspServer() as running:
        yield running


class Got(NamedTuple):
    """Packets that PyAV received, by stream index; of video packets the stored form."""

    packets: dict[int, list[Any]]
    video: list[Stored]

    def numbers(self, codec: Codec = Codec.H264) -> list[int]:
        markers = [read_marker(each.sample, codec) for each in self.video]
        return [marker[1] for marker in markers if marker is not None]


def receive(url: str, codec: Codec, *, count: int = 1 << 30, transport: str = "tcp", **options: str) -> Got:
    """Packets until there are `count` of video, or the stream ends."""
    got = Got({}, [])
    quick = {"analyzeduration": "100000", "rtsp_transport": transport}
    with av.open(url, options=quick | options, timeout=20) as container:
        for packet in container.demux():
            if packet.size:
                got.packets.setdefault(packet.stream_index, []).append(packet)
                if packet.stream.type == "video":
                    got.video.append(store_form(bytes(packet), packing_of(codec, annexb=True)))
                    if len(got.video) == count:
                        break
    return got


def clock_ns(packet: Any) -> int | None:
    """Wall clock of a packet by sender reports, to the µs."""
    if not packet.has_sidedata("prft"):
        return None
    return int.from_bytes(bytes(packet.get_sidedata("prft"))[:8], "little") * 1000


def needs(program: str) -> Any:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is absent")


def launch(*pipeline: str) -> bytes:
    """What a GStreamer pipeline writes to stdout.

    Its status tells nothing: under load GStreamer 1.22 closes the connection before it sends its own PAUSE.
    """
    command = ("gst-launch-1.0", "-q", *pipeline, "!", "fdsink", "fd=1")
    return subprocess.run(command, capture_output=True, timeout=150, check=False).stdout


def run(*command: str) -> bytes:
    done = subprocess.run(command, capture_output=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
@pytest.mark.parametrize("b_frames", [0, 2])
@excused_by_drops
def test_frames_arrive_as_they_were_sent(
    server: RtspServer, clip: Clips, transport: str, codec: Codec, b_frames: int
) -> None:
    camera = LoopSource(clip(codec.value, b_frames=b_frames), marker=9, fps=50)
    got = receive(server.add_stream("cam", camera), codec, count=75, transport=transport)
    sent = {each.sequence: each for each in camera.sent()}
    numbers = got.numbers(codec)
    assert numbers == list(range(numbers[0], numbers[0] + 75))
    assert [each.digest for each in got.video] == [sent[number].digest for number in numbers]
    clocks = [(clock_ns(packet), number) for packet, number in zip(got.packets[0], numbers, strict=True)]
    known = [(clock, number) for clock, number in clocks if clock is not None]
    assert len(known) > 65, "sender reports come with the first frames"
    assert all(abs(clock - sent[number].time_ns) <= 12_000 for clock, number in known[1:]), (
        "one tick of 90 kHz"
    )


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("sound", ["aac", "opus", "pcmu", "pcma"])
def test_audio_arrives_as_it_was_sent(server: RtspServer, clip: Clips, transport: str, sound: str) -> None:
    clip_ = clip(audio=sound)
    got = receive(server.add_stream("cam", LoopSource(clip_)), Codec.H264, count=25, transport=transport)
    frames = [bytes(packet) for packet in got.packets[1]]
    samples = [sample.parts[0] for sample in clip_.tracks[1].samples]
    start = samples.index(frames[0])
    assert len(frames) > 20
    assert frames == [samples[(start + number) % len(samples)] for number in range(len(frames))]
    steps = [after.pts - before.pts for before, after in pairwise(got.packets[1][2:])]
    assert sum(step != statistics.mode(steps) for step in steps) <= 1, (
        "even, but where the first report comes"
    )


def test_metadata_arrives_as_it_was_sent(server: RtspServer, clip: Clips) -> None:
    camera = LoopSource(clip(), metadata=metadata_document, metadata_fps=25)
    got = receive(server.add_stream("cam", camera), Codec.H264, count=25)
    documents = [bytes(packet) for packet in got.packets[1]]
    assert len(documents) > 15
    assert all(each.startswith(b"<?xml") and each.endswith(b"</tt:MetadataStream>") for each in documents)


def test_two_clients_get_the_same_frames_with_the_same_clock(server: RtspServer, clip: Clips) -> None:
    url = server.add_stream("cam", LoopSource(clip(), marker=1, fps=50))
    sessions = [receive(url, Codec.H264, count=30, transport=transport) for transport in TRANSPORTS]
    with av.open(url, options={"rtsp_transport": "tcp"}, timeout=20) as held:
        other = receive(url, Codec.H264, count=40)
        mine = Got({}, [])
        for packet in held.demux(video=0):
            mine.packets.setdefault(0, []).append(packet)
            mine.video.append(store_form(bytes(packet), packing_of(Codec.H264, annexb=True)))
            if len(mine.video) == 100:
                break
    tables = [
        {
            number: (stored.digest, clock_ns(packet))
            for number, stored, packet in zip(got.numbers(), got.video, got.packets[0], strict=True)
        }
        for got in (*sessions, other, mine)
    ]
    common = tables[2].keys() & tables[3].keys()
    assert len(common) > 30
    for number in common:
        (digest, clock), (digest_too, clock_too) = tables[2][number], tables[3][number]
        assert digest == digest_too
        if number > min(common) + 5 and clock is not None and clock_too is not None:
            assert abs(clock - clock_too) <= 23_000
    assert tables[0].keys().isdisjoint(tables[3].keys()), "nobody gets a backlog"


def test_a_camera_without_sender_reports(clip: Clips) -> None:
    with RtspServer(settings=Settings(first_sender_report_s=None)) as server:
        got = receive(server.add_stream("cam", LoopSource(clip(), fps=50)), Codec.H264, count=40)
    assert not any(clock_ns(packet) for packet in got.packets[0])


@pytest.mark.parametrize("schemes", [("digest",), ("basic",), ("digest", "basic")])
def test_password(clip: Clips, schemes: Any) -> None:
    with RtspServer(user="admin", password="p@ss:w", schemes=schemes) as server:
        server.add_stream("cam", LoopSource(clip()))
        good = server.url("cam", user="admin", password="p%40ss%3Aw")
        assert len(receive(good, Codec.H264, count=3).video) == 3
        for wrong in (server.url("cam"), server.url("cam", user="admin", password="x")):
            with pytest.raises(av.error.HTTPUnauthorizedError):
                receive(wrong, Codec.H264, count=3)


@needs("openssl")
def test_tls(clip: Clips, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subject = ("-subj", "/CN=127.0.0.1", "-keyout", str(key), "-out", str(certificate))
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with RtspServer(tls=context) as server:
        url = server.add_stream("cam", LoopSource(clip(), marker=1))
        assert url.startswith("rtsps://")
        with contextlib.suppress(ConnectionError), RtspClient(url) as plain:
            plain.request("OPTIONS")
        numbers = receive(url, Codec.H264, count=20).numbers()
    assert numbers == list(range(numbers[0], numbers[0] + 20))


def test_a_stream_that_is_not_there(server: RtspServer) -> None:
    with pytest.raises(av.error.HTTPNotFoundError):
        receive(server.url("absent"), Codec.H264)


# Recorded footage on demand.


@pytest.fixture
def timeline() -> MemoryTimeline:
    made = MemoryTimeline()
    made.record(video(Codec.H264, 50, b_frames=2), audio(Codec.AAC, 2), metadata(), pieces=2)
    return made


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("speed", [8.0, None])
def test_a_recording_arrives_whole_with_its_clock(
    server: RtspServer, timeline: MemoryTimeline, transport: str, speed: float | None
) -> None:
    url = server.add_stream("rec", TimelineSource(timeline, "gate", speed=speed))
    made = video(Codec.H264, 50, b_frames=2)
    got = receive(url, Codec.H264, transport=transport)
    assert [each.digest for each in got.video] == made.frames["digest"].tolist()
    assert [bytes(packet) for packet in got.packets[1]] == audio(Codec.AAC, 2).payloads
    if speed is None:
        clocks = zip(
            [clock_ns(packet) for packet in got.packets[0]], made.frames["time_ns"].tolist(), strict=True
        )
        known = [(clock, time) for clock, time in clocks if clock is not None]
        assert len(known) > 40
        assert all(abs(clock - time) <= 12_000 for clock, time in known[1:])


def test_players_know_how_long_a_recording_is_and_seek_in_it(
    server: RtspServer, timeline: MemoryTimeline
) -> None:
    made = video(Codec.H264, 50, b_frames=2)
    url = server.add_stream("rec", TimelineSource(timeline, "gate", speed=None))
    with av.open(url, options={"rtsp_transport": "tcp"}, timeout=20) as container:
        assert container.duration == 2_000_000
        container.seek(1_500_000)
        digests = [
            store_form(bytes(packet), packing_of(Codec.H264, annexb=True)).digest
            for packet in container.demux(video=0)
            if packet.size
        ]
    wanted = made.frames["digest"].tolist()
    assert digests[-20:] == wanted[-20:]
    assert wanted[30] in digests, "the keyframe before 1.5 s"


def test_a_gap_takes_a_moment_and_the_clock_jumps(server: RtspServer, timeline: MemoryTimeline) -> None:
    late = video(Codec.H264, 50, b_frames=2)
    frames = late.frames.copy()
    frames["time_ns"] += 3600 * S
    frames["dts_ns"] += 3600 * S
    timeline.record(late._replace(frames=frames), session="aa" * 8)
    got = receive(server.add_stream("rec", TimelineSource(timeline, "gate", speed=None)), Codec.H264)
    assert len(got.video) == 100
    clocks = [clock for packet in got.packets[0] if (clock := clock_ns(packet)) is not None]
    assert abs(clocks[-1] - int(frames["time_ns"][-1])) <= 12_000
    times = [packet.pts * float(packet.time_base) for packet in got.packets[0] if packet.pts is not None]
    assert times[-1] > 3600, "who reads sender reports sees the jump"


@needs("ffprobe")
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_ffprobe_knows_the_tracks(server: RtspServer, clip: Clips, transport: str) -> None:
    url = server.add_stream("cam", LoopSource(clip("h265", audio="aac")))
    entries = "stream=codec_name,width,height,sample_rate,channels"
    out = run(
        "ffprobe",
        "-v",
        "error",
        "-rtsp_transport",
        transport,
        "-show_entries",
        entries,
        "-of",
        "csv=p=0",
        url,
    )
    assert out.decode().split() == ["hevc,160,96", "aac,48000,1"]


@needs("ffmpeg")
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
@excused_by_drops
def test_ffmpeg_copies_every_slice(server: RtspServer, clip: Clips, transport: str, codec: Codec) -> None:
    camera = LoopSource(clip(codec.value), marker=1, fps=50)
    url = server.add_stream("cam", camera)
    name = "hevc" if codec is Codec.H265 else "h264"
    source = ("-rtsp_transport", transport, "-i", url, "-c", "copy", "-frames:v", "50", "-f", name, "-")
    check_elementary_stream(run("ffmpeg", "-v", "error", *source), codec, camera, 45)


@needs("gst-launch-1.0")
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
@excused_by_drops
def test_gstreamer_receives_every_slice(
    server: RtspServer, clip: Clips, transport: str, codec: Codec
) -> None:
    camera = LoopSource(clip(codec.value), marker=1, fps=50)
    url = server.add_stream("cam", camera)
    name = codec.value
    source = ("rtspsrc", f"location={url}", f"protocols={transport}", "latency=0")
    pipeline = (
        *source,
        "!",
        f"rtp{name}depay",
        "!",
        f"video/x-{name},stream-format=byte-stream,alignment=au",
    )
    check_elementary_stream(launch(*pipeline, "!", "identity", "eos-after=50"), codec, camera, 45)


@needs("gst-launch-1.0")
def test_gstreamer_plays_a_recording_to_its_end(server: RtspServer, timeline: MemoryTimeline) -> None:
    url = server.add_stream("rec", TimelineSource(timeline, "gate"))
    source = ("rtspsrc", f"location={url}", "protocols=tcp", "!", "rtph264depay")
    out = launch(*source, "!", "video/x-h264,stream-format=byte-stream,alignment=au")
    digests = [digest for _, digest in access_units(out, Codec.H264)]
    assert digests == video(Codec.H264, 50, b_frames=2).frames["digest"].tolist()


@needs("gst-launch-1.0")
def test_gstreamer_and_a_password(clip: Clips) -> None:
    with RtspServer(user="admin", password="secret", schemes=("digest",)) as server:
        server.add_stream("cam", LoopSource(clip()))
        url = server.url("cam", user="admin", password="secret")
        assert len(launch("rtspsrc", f"location={url}", "!", "identity", "eos-after=20")) > 1000


def access_units(data: bytes, codec: Codec) -> list[tuple[int | None, int]]:
    """(marker, digest) of the access units of a stream with one slice a picture."""
    out: list[tuple[int | None, int]] = []
    unit = b""
    for nal in iter_annexb(data):
        unit += len(nal).to_bytes(4, "big") + bytes(nal)
        if nal[0] & 31 in (1, 5) if codec is Codec.H264 else nal[0] >> 1 < 32:
            marker = read_marker(unit, codec)
            out.append((marker and marker[1], digest_video(unit, codec)))
            unit = b""
    return out


def check_elementary_stream(data: bytes, codec: Codec, camera: LoopSource, least: int) -> None:
    """All units but the last, which may be cut: consecutive, as sent."""
    units = access_units(data, codec)[:-1]
    sent = {each.sequence: each.digest for each in camera.sent()}
    numbers = [number for number, _ in units if number is not None]
    assert len(numbers) >= least
    assert numbers == list(range(numbers[0], numbers[0] + len(units)))
    assert [digest for _, digest in units] == [sent[number] for number in numbers]


def test_times_start_where_the_recording_starts(server: RtspServer, timeline: MemoryTimeline) -> None:
    url = server.add_stream("rec", TimelineSource(timeline, "gate", T0_NS + 1_300_000_000, speed=None))
    with av.open(url, options={"rtsp_transport": "tcp"}, timeout=20) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert len(packets) == 20, "from the keyframe before 1.3 s on"
