"""Export of a stretch to MP4 without re-encoding."""

from __future__ import annotations

import contextlib
import errno
import io
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from os import PathLike, fspath
from pathlib import Path
from typing import Any, BinaryIO, Literal

import av
import msgspec

from fovideo.errors import FovideoError, NothingThere, StoreError, StoreFull
from fovideo.media.codec import AUDIO_TRACK, VIDEO_TRACK, Codec, Track
from fovideo.media.frames import FrameFlag
from fovideo.replay.read import Packet, read_packets
from fovideo.replay.rows import Rows
from fovideo.segment import SegmentHeader, encode_header
from fovideo.timeline.cover import DEFAULT_INTERVAL_NS
from fovideo.timeline.endpoint import Timeline
from fovideo.timeline.values import Provenance
from fovideo.times import NS_PER_S, format_ns

_CLOSED_GAP_NS = NS_PER_S
_STREAMED = "frag_keyframe+delay_moov+default_base_moof"


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What an export wrote. Times are those of the first and last frame; left_out: metadata documents."""

    video_frames: int
    audio_frames: int
    left_out: int
    start_ns: int
    end_ns: int
    container: str


def export_mp4(
    timeline: Timeline,
    stream: str,
    from_ns: int | None,
    to_ns: int | None,
    out: str | PathLike[str] | BinaryIO,
    *,
    gaps: Literal["keep", "close"] = "keep",
    on_damage: Callable[[FovideoError], None] | None = None,
) -> Exported:
    """Write the frames that cover [from_ns, to_ns) to a file or a stream; it begins with a keyframe.

    out: a path appears whole or not at all; a binary stream that can't seek (stdout) gets fragmented MP4.
    gaps: "keep" shows the last picture for as long as a gap lasted, "close" goes on at once.
    Metadata documents are left out. MP4 cannot carry G.711: with it the file is QuickTime.
    Raises NothingThere, NoSuchStream, StoreError and StoreFull.
    """
    packets = read_packets(timeline, stream, from_ns, to_ns, on_damage=on_damage)
    first = next(packets, None)
    if first is None:
        raise NothingThere("no video in this stretch", where=f"{timeline.location} {stream}")
    delay_ns = Rows(timeline, stream).reorder_delay_ns(first.dts_ns, to_ns)
    if not isinstance(out, (str, PathLike)):
        target = out if out.seekable() else _Sink(out)
        options = {} if out.seekable() else {"movflags": _STREAMED}
        with _mapped_errors("output stream"):
            return _mux(target, options, first, packets, delay_ns, gaps)
    path = Path(fspath(out))
    with _mapped_errors(str(path)), _appearing(path) as part:
        return _mux(str(part), {"movflags": "faststart"}, first, packets, delay_ns, gaps)


class _Sink(io.RawIOBase):
    """A stream that can only be written, whatever methods it has."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._out.write(data)
        return len(data)

    def flush(self) -> None:
        self._out.flush()


@contextlib.contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place when all went well, and else is gone."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def _mapped_errors(where: str) -> Iterator[None]:
    try:
        yield
    except (FovideoError, BrokenPipeError):
        raise
    except OSError as error:  # libavformat's errors are OSErrors too
        kind = StoreFull if error.errno == errno.ENOSPC else StoreError
        raise kind(f"cannot write ({error.strerror or error})", where=where) from None


@contextlib.contextmanager
def _closed(output: Any) -> Iterator[Any]:
    """Close it; but what closing says after an error hides why."""
    try:
        yield output
    except BaseException:
        with contextlib.suppress(Exception):
            output.close()
        raise
    output.close()


def _mux(
    target: Any,
    options: dict[str, str],
    first: Packet,
    packets: Iterator[Packet],
    delay_ns: int,
    gaps: Literal["keep", "close"],
) -> Exported:
    tracks = [track for track in first.tracks if track.codec is not Codec.ONVIF]
    if not tracks:
        raise NothingThere("neither video nor audio in this stretch")
    plain = any(track.codec in (Codec.PCMU, Codec.PCMA) for track in tracks)
    container = "mov" if plain else "mp4"
    with _closed(av.open(target, "w", format=container, options=options)) as output:
        output.metadata["creation_time"] = format_ns(first.time_ns)
        writer = _Writer(output, tracks, first.dts_ns, delay_ns, gaps == "close")
        writer.write(first)
        for packet in packets:
            writer.write(packet)
    return Exported(
        video_frames=writer.counts.get(VIDEO_TRACK, 0),
        audio_frames=writer.counts.get(AUDIO_TRACK, 0),
        left_out=writer.left_out,
        start_ns=first.time_ns,
        end_ns=writer.end_ns,
        container=container,
    )


class _Writer:
    """Packets to samples of the output: times from the first frame on, in the ticks of each track."""

    def __init__(
        self, output: Any, tracks: list[Track], origin_ns: int, delay_ns: int, close_gaps: bool
    ) -> None:
        self._output, self._close_gaps = output, close_gaps
        self._origin_ns, self._delay_ns = origin_ns, delay_ns
        self._streams = {
            track.id: (track, _stream(output, track), Fraction(NS_PER_S, track.timescale)) for track in tracks
        }
        self._last_tick: dict[int, int] = {}
        self._step: dict[int, int] = {}
        self._last_ns = origin_ns
        self.counts: dict[int, int] = {}
        self.left_out = 0
        self.end_ns = 0

    def write(self, packet: Packet) -> None:
        known = self._streams.get(packet.track)
        now = next((each for each in packet.tracks if each.id == packet.track), None)
        if known is None or now is None or now.codec is not known[0].codec:
            self.left_out += 1
            return
        track, stream, tick_ns = known
        if self._close_gaps and packet.dts_ns - self._last_ns > _CLOSED_GAP_NS:
            self._origin_ns += packet.dts_ns - self._last_ns - _CLOSED_GAP_NS // 25
        self._last_ns = max(self._last_ns, packet.dts_ns)
        delay_ns = self._delay_ns if track.codec.is_video else 0
        dts = round((packet.dts_ns - self._origin_ns - delay_ns) / tick_ns)
        if (last := self._last_tick.get(track.id)) is not None:
            dts = max(dts, last + 1)  # samples of no length confuse players
            if (dts - last) * tick_ns <= _CLOSED_GAP_NS:
                self._step[track.id] = dts - last
        self._last_tick[track.id] = dts
        sample = av.Packet(_with_sets(packet, track, now))
        sample.stream, sample.time_base = stream, Fraction(1, track.timescale)
        sample.pts, sample.dts = max(dts, round((packet.time_ns - self._origin_ns) / tick_ns)), dts
        # Counts for the last, and wherever it would end the track.
        sample.duration = self._step.get(track.id, round(DEFAULT_INTERVAL_NS / tick_ns))
        sample.is_keyframe = packet.key
        self._output.mux_one(sample)
        self.counts[track.id] = self.counts.get(track.id, 0) + 1
        self.end_ns = max(self.end_ns, packet.time_ns)


def _stream(output: Any, track: Track) -> Any:
    """An output stream for a track, by way of the sample entry that segment files have."""
    header = SegmentHeader(
        stream="x", tracks=(track,), provenance=Provenance(recorder="", session=""), base_ns=0, start_ns=0
    )
    with av.open(io.BytesIO(encode_header(header)), format="mp4") as template:
        return output.add_stream_from_template(template.streams[0], opaque=True)


def _with_sets(packet: Packet, described: Track, now: Track) -> bytes:
    """The sample; behind parameter sets where they differ from the described ones and are not in it."""
    if not packet.key or packet.flags & FrameFlag.PARAMS or now.parameter_sets == described.parameter_sets:
        return packet.payload
    return b"".join(len(nal).to_bytes(4, "big") + nal for nal in now.parameter_sets) + packet.payload
