"""Real footage for merges: encoded pictures with a numbered SEI in each access unit, recorded into real
stores, and a judge that reads nothing but those numbers and what a decoder says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import av.logging
import numpy as np
from merge_world import STEP_NS, T0_NS, TRUE_CLOCK, S, Wrong
from streams import decode_times

from fovideo.media import nal, sps
from fovideo.media.codec import AUDIO_TRACK, METADATA_TRACK, VIDEO_TRACK, Codec, Track
from fovideo.media.frames import Clock, FrameFlag, FrameTable, empty_frames
from fovideo.media.marker import make_marker, read_marker
from fovideo.replay import load_clip, read_packets
from fovideo.segment import samples, scan
from fovideo.store import Store, StoreOptions
from fovideo.timeline.endpoint import FileRange, Timeline
from fovideo.timeline.values import Provenance

_PORTION = 10  # takes at a time, where there is no video
_SHORT_SEGMENTS = StoreOptions(segment_duration_ns=2 * S)


@dataclass(frozen=True)
class Take:
    """One access unit or audio frame. number: place in decode order. shown: place in presentation order."""

    number: int
    time_ns: int
    payload: bytes
    digest: int
    flags: int
    track: Track


@dataclass(frozen=True)
class Film:
    """What a camera sent. pictures: digest of each decoded picture, by presentation time."""

    takes: tuple[Take, ...]
    pictures: dict[int, str]

    def part(self, start: int, stop: int) -> list[Take]:
        """Frames start..stop, in decode order."""
        return list(self.takes[start:stop])


@cache
def film(
    count: int,
    *,
    codec: Codec = Codec.H264,
    gop: int = 10,
    b_frames: int = 0,
    scene: str = "moving",
    size: tuple[int, int] = (96, 64),
    first: int = 0,
    quality: int = 23,
) -> Film:
    """Encode pictures. scene: "moving"; "still" (every picture alike); "loop" (40 frames, again and again).

    b_frames: more than 2 refer to each other (a pyramid).
    first: number of the first frame; its time follows from that. quality: another one is another encoder.
    """
    length = 40 if scene == "loop" else count
    track, packets = _encode(length, codec, gop, b_frames, scene, size, first, quality)
    takes = []
    for number in range(count):
        data, pts, key = packets[number % length]
        pts += number // length * length
        sample = _marked(data, codec, first + number)
        flags = (FrameFlag.KEY | FrameFlag.PARAMS) if key else 0
        digest = nal.digest_video(sample, codec)
        takes.append(Take(first + number, T0_NS + (first + pts) * STEP_NS, sample, digest, flags, track))
    made = Film(tuple(takes), {})
    pictures, complaints = decode((take.payload, take.time_ns, take.track) for take in takes)
    assert not complaints
    made.pictures.update(pictures)
    return made


def _encode(
    count: int,
    codec: Codec,
    gop: int,
    b_frames: int,
    scene: str,
    size: tuple[int, int],
    seed: int,
    quality: int,
) -> tuple[Track, list[tuple[bytes, int, bool]]]:
    h264 = codec is Codec.H264
    context = av.CodecContext.create("libx264" if h264 else "libx265", "w")
    context.width, context.height, context.pix_fmt = *size, "yuv420p"
    context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
    common = f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes={b_frames}:b-adapt=0:crf={quality}"
    common += ":annexb=1:repeat-headers=1"
    pyramid = "normal" if b_frames > 2 else "none"
    more = f"b-pyramid={pyramid}:log-level=-1" if h264 else "b-pyramid=0:log-level=none:pools=1"
    common += ":open-gop=0"
    context.options = {"preset": "ultrafast", ("x264" if h264 else "x265") + "-params": f"{common}:{more}"}
    packets = []
    for index in range(count):
        picture = av.VideoFrame.from_ndarray(_picture(0 if scene == "still" else index + seed, size), "rgb24")
        picture.pts = index
        packets += context.encode(picture)
    packets += context.encode(None)
    units = [
        (nal.annexb_to_lengths(bytes(packet), codec), packet.pts, packet.is_keyframe) for packet in packets
    ]
    sets = nal.parameter_sets(units[0][0], codec)
    width, height = sps.video_size(codec, sets)
    track = Track(id=VIDEO_TRACK, codec=codec, parameter_sets=sets, width=width, height=height)
    return track, units


def _picture(index: int, size: tuple[int, int]) -> np.ndarray:
    width, height = size
    noise = np.random.default_rng(index).integers(0, 40, (height // 8, width // 8, 3), np.uint8)
    picture = np.kron(noise, np.ones((8, 8, 1), np.uint8)) + np.uint8(index * 3 % 150)
    at = index * 3 % (width - 10)
    picture[10:40, at : at + 10] = (255, 40, index % 256)
    return np.ascontiguousarray(picture)


def _marked(sample: bytes, codec: Codec, number: int) -> bytes:
    """The access unit with its number, before the first NAL unit of the picture."""
    parts = [bytes(part) for part in nal.iter_nals(sample)]
    place = next(at for at, part in enumerate(parts) if _is_picture(part, codec))
    parts.insert(place, make_marker(codec, 1, number))
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _is_picture(part: bytes, codec: Codec) -> bool:
    return 1 <= part[0] & 31 <= 5 if codec is Codec.H264 else (part[0] >> 1) & 63 < 32


@cache
def sound(count: int, codec: Codec = Codec.PCMU) -> tuple[Take, ...]:
    """Audio of 20 ms frames, none like another; their numbers begin at 1 million."""
    track = Track(id=AUDIO_TRACK, codec=codec, timescale=8000, sample_rate=8000, channels=1)
    takes = []
    for number in range(count):
        seed = [number, len(codec), ord(codec[-1])]
        payload = np.random.default_rng(seed).integers(0, 255, 160, np.uint8).tobytes()
        takes.append(_other(1_000_000 + number, T0_NS + number * 20_000_000, payload, track))
    return tuple(takes)


@cache
def documents(count: int) -> tuple[Take, ...]:
    """A metadata document each 200 ms; their numbers begin at 2 million."""
    track = Track(id=METADATA_TRACK, codec=Codec.ONVIF)
    return tuple(
        _other(
            2_000_000 + number,
            T0_NS + number * 200_000_000,
            f'<tt:MetadataStream ObjectId="{number}"/>'.encode(),
            track,
        )
        for number in range(count)
    )


def _other(number: int, time_ns: int, payload: bytes, track: Track) -> Take:
    return Take(number, time_ns, payload, nal.xxh64(payload), FrameFlag.KEY, track)


class Recorder:
    """A store and what is recorded into it; each call of `record` is a session."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.store = Store.open(folder / name, write=True, create=True, options=_SHORT_SEGMENTS)
        self._sessions = 0

    def record(
        self,
        takes: Sequence[Take],
        *,
        wrong: Wrong = TRUE_CLOCK,
        lost: Iterable[int] = (),
        received_ns: int = 5_000_000,
        epoch_at: int | None = None,
        camera_step_ns: int = 0,
        stalls: Iterable[tuple[int, int]] = (),
    ) -> None:
        """wrong: the clock of the recorder. lost: numbers of frames that did not arrive. received_ns: from
        capture to receipt. epoch_at: number of the frame from which the camera's clock is stepped by
        camera_step_ns. stalls: (number, number) of the first frame that waited in a socket and of the first
        that did not: those between are received when the stall ends.
        """
        self._sessions += 1
        lost = set(lost)
        session = hashlib.sha256(f"{self.name}/{self._sessions}".encode()).hexdigest()[:16]
        provenance = Provenance(recorder=self.name, session=session, store=self.store.identity)
        with self.store.writer("gate", provenance, pending=True) as writer:
            tracks: tuple[Track, ...] = ()
            for epoch in (0, 1):
                mine = [
                    take
                    for take in takes
                    if take.number not in lost and _epoch(take, takes, epoch_at) == epoch
                ]
                step_ns = camera_step_ns if epoch else 0
                for group in _groups(mine):
                    now = tuple(sorted({take.track for take in group}, key=lambda track: track.id))
                    if now != tracks and not {track.id for track in now} < {track.id for track in tracks}:
                        tracks = now
                        writer.set_format(tracks)
                    frames = _table(group, wrong, received_ns, step_ns, stalls)
                    writer.append(frames, [take.payload for take in group], epoch=epoch)
                    self.store.commit()
        self.store.commit()

    def close(self) -> None:
        self.store.close()


def _epoch(take: Take, takes: Sequence[Take], epoch_at: int | None) -> int:
    if epoch_at is None:
        return 0
    start_ns = next(each.time_ns for each in takes if each.number == epoch_at)
    return int(take.time_ns >= start_ns if take.track.id != VIDEO_TRACK else take.number >= epoch_at)


def _groups(takes: Sequence[Take]) -> list[list[Take]]:
    """Takes of all tracks in order of time, cut before keyframes, and where tracks change."""
    video = [take for take in takes if take.track.id == VIDEO_TRACK]
    rest = sorted((take for take in takes if take.track.id != VIDEO_TRACK), key=lambda take: take.time_ns)
    groups: list[list[Take]] = []
    for take in video:
        if not groups or take.flags & FrameFlag.KEY:
            groups.append([])
        groups[-1].append(take)
    if not video:
        return [rest[at : at + _PORTION] for at in range(0, len(rest), _PORTION)]
    starts = [min(take.time_ns for take in group) for group in groups]
    for take in rest:
        place = max(int(np.searchsorted(starts, take.time_ns, side="right")) - 1, 0)
        groups[place].append(take)
    return groups


def _table(
    takes: Sequence[Take], wrong: Wrong, received_ns: int, step_ns: int, stalls: Iterable[tuple[int, int]]
) -> FrameTable:
    frames = empty_frames(len(takes))
    frames["time_ns"] = [wrong.at(take.time_ns) + step_ns for take in takes]
    received_ns -= 5_000_000
    frames["receipt_ns"] = [wrong.received_ns(take.time_ns) + received_ns for take in takes]
    for start, stop in stalls:
        waited = [start <= (take.time_ns - T0_NS) // STEP_NS < stop for take in takes]
        frames["receipt_ns"][waited] = wrong.received_ns(T0_NS + stop * STEP_NS) + received_ns
    frames["digest"] = [take.digest for take in takes]
    frames["size"] = [len(take.payload) for take in takes]
    frames["track"] = [take.track.id for take in takes]
    frames["flags"] = [take.flags for take in takes]
    frames["clock"] = wrong.source
    frames["error_ns"] = S if wrong.source is Clock.LOCAL else 1_000_000
    for track in {take.track.id for take in takes}:
        mine = frames["track"] == track
        frames["dts_ns"][mine] = decode_times(frames["time_ns"][mine].tolist())
    return frames


# The judge


def held(timeline: Timeline) -> list[int]:
    """Numbers of all video frames in the timeline, sorted, whether a reader is shown them or not."""
    found = []
    for row in timeline.gops("gate"):
        part = timeline.read("gate", row)
        assert isinstance(part, FileRange)
        data = Path(part.path).read_bytes()[part.offset : part.offset + part.size_bytes]
        for fragment in scan(data, 0)[0]:
            for track, sample in zip(
                fragment.frames["track"].tolist(), samples(fragment, data, fragment.offset), strict=True
            ):
                marker = read_marker(sample, Codec.H264) if track == VIDEO_TRACK else None
                found += [marker[1]] if marker is not None else []
    return sorted(found)


def numbers(timeline: Timeline, track: int = VIDEO_TRACK, *, decodable: bool = True) -> list[int]:
    """Numbers of the frames in the order in which a reader gets them, from the stream itself."""
    found = []
    for packet in read_packets(timeline, "gate", decodable=decodable, tracks=[track]):
        codec = next(each.codec for each in packet.tracks if each.id == track)
        marker = read_marker(packet.payload, codec)
        assert marker is not None
        found.append(marker[1])
    return found


def payloads(timeline: Timeline, track: int) -> list[bytes]:
    """Payloads of a track without markers, as a reader gets them."""
    return [packet.payload for packet in read_packets(timeline, "gate", tracks=[track])]


def play(timeline: Timeline) -> tuple[dict[int, str], list[str]]:
    """Pictures by effective presentation time, and what the decoder complained of."""
    return decode(
        (packet.payload, packet.time_ns, packet.tracks[0])
        for packet in read_packets(timeline, "gate", tracks=[VIDEO_TRACK])
    )


def decode(units: Iterable[tuple[bytes, int, Track]]) -> tuple[dict[int, str], list[str]]:
    """Decode access units; a new decoder where the parameter sets change."""
    pictures: dict[int, str] = {}
    complaints: list[str] = []
    decoder, track = None, None
    before = av.logging.get_level()
    av.logging.set_level(av.logging.WARNING)
    try:
        with av.logging.Capture() as logs:
            for payload, time_ns, now in units:
                if decoder is None or now != track:
                    if decoder is not None:
                        _take(decoder.decode(None), pictures)
                    name = "h264" if now.codec is Codec.H264 else "hevc"
                    decoder, track = av.CodecContext.create(name, "r"), now
                    decoder.thread_count = 1
                    decoder.options = {"err_detect": "explode"}
                packet = av.Packet(nal.to_annexb(payload))
                packet.pts, packet.time_base = time_ns // 1000, Fraction(1, 1_000_000)
                try:
                    _take(decoder.decode(packet), pictures)
                except av.error.FFmpegError as error:
                    complaints.append(str(error))
            if decoder is not None:
                _take(decoder.decode(None), pictures)
        complaints += [message.strip() for level, _, message in logs if level <= av.logging.ERROR]
    finally:
        av.logging.set_level(before)
    return pictures, complaints


def _take(frames: Iterable[av.VideoFrame], pictures: dict[int, str]) -> None:
    for frame in frames:
        assert frame.pts is not None
        data = hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest()
        pictures[frame.pts * 1000] = data


# Footage of real cameras


@cache
def clip_film(path: Path, limit: int) -> tuple[Film, tuple[Take, ...]]:
    """The first video frames of a clip, numbered, and the audio that goes with them (from 1 million)."""
    clip = load_clip(path)
    takes: list[Take] = []
    audio: list[Take] = []
    for each in clip.tracks:
        step_ns = Fraction(S) / each.rate
        for number, sample in enumerate(each.samples):
            time_ns = T0_NS + round(sample.rank * step_ns)
            if not each.track.codec.is_video:
                take = _other(1_000_000 + number, time_ns, sample.parts[0], each.track)
                audio.append(take)
            elif number < limit:
                codec = each.track.codec
                payload = _marked(sample.lengths, codec, number)
                flags = FrameFlag.KEY if sample.key else 0
                takes.append(
                    Take(number, time_ns, payload, nal.digest_video(payload, codec), flags, each.track)
                )
    end_ns = max(take.time_ns for take in takes)
    made = Film(tuple(takes), {})
    pictures, complaints = decode((take.payload, take.time_ns, take.track) for take in takes)
    assert complaints == []
    made.pictures.update(pictures)
    return made, tuple(take for take in audio if take.time_ns <= end_ns)
