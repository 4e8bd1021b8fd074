"""The parts of a stretch: bytes in memory or in files, read and verified without copying them."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fovideo.errors import SegmentDamaged, UsageError
from fovideo.media.codec import METADATA_TRACK, Codec, Track
from fovideo.media.frames import FrameTable
from fovideo.media.nal import digest_video, xxh64
from fovideo.segment import Fragment, _samples, fragments, samples
from fovideo.segment.fragment import KEY_START, parse_head
from fovideo.timeline.endpoint import FileRange


class Placed(NamedTuple):
    """A fragment and where it lies: in `data` at `offset`; path: of the file that `data` maps, "" if none."""

    path: str
    data: memoryview
    offset: int
    fragment: Fragment


class Sources:
    """Maps each file of a stretch once, for as long as the context lasts."""

    def __init__(self) -> None:
        self._maps: dict[str, tuple[mmap.mmap, memoryview]] = {}

    def __enter__(self) -> Sources:
        return self

    def __exit__(self, *_: object) -> None:
        for data, view in self._maps.values():
            view.release()
            with contextlib.suppress(BufferError):  # an error on its way may still refer to a part of it
                data.close()
        self._maps.clear()

    def placed(self, parts: Sequence[bytes | FileRange]) -> Iterator[Placed]:
        """The fragments of the parts, their heads verified. Raises SegmentDamaged for what is not whole."""
        for part in parts:
            path = part.path if isinstance(part, FileRange) else ""
            data, start, end = self.range(part)
            try:
                for fragment in fragments(data[:end], start, verify=False):
                    yield Placed(path, data, fragment.offset, fragment)
            except SegmentDamaged as error:
                raise SegmentDamaged(error.what, where=path, hint=error.hint) from None

    def range(self, part: bytes | FileRange) -> tuple[memoryview, int, int]:
        """A buffer that holds the part, and the offsets where it begins and ends."""
        if isinstance(part, bytes):
            return memoryview(part), 0, len(part)
        end = part.offset + part.size_bytes
        known = self._maps.get(part.path)
        if known is None or end > len(known[1]):
            known = self._maps[part.path] = self._map(part.path)
        if end > len(known[1]):
            raise SegmentDamaged("the file is shorter than its index says", where=part.path)
        return known[1], part.offset, end

    @staticmethod
    def _map(path: str) -> tuple[mmap.mmap, memoryview]:
        with Path(path).open("rb") as file:
            try:
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError:
                raise SegmentDamaged("the file is empty", where=path) from None
        return data, memoryview(data)


def start_of(parts: Sequence[bytes | FileRange]) -> tuple[int, int]:
    """Stored decode time of the first frame, and the offset of the first part in its buffer or file.

    Raises SegmentDamaged, UsageError where there are no frames.
    """
    with Sources() as sources:
        for placed in sources.placed(parts):
            if len(placed.fragment.frames):
                first = parts[0]
                return (
                    int(placed.fragment.frames["dts_ns"].min()),
                    first.offset if isinstance(first, FileRange) else 0,
                )
    raise UsageError("fragments without frames cannot be inserted")


def starts_with_key(part: bytes | FileRange) -> bool:
    """Whether a part begins with a keyframe that begins a GOP. Raises SegmentDamaged."""
    with Sources() as sources:
        data, start, _ = sources.range(part)
        return bool(parse_head(data, start).flags & KEY_START)


@contextlib.contextmanager
def opened(part: bytes | FileRange) -> Iterator[memoryview]:
    """The bytes of one part; those of a file are mapped, not read."""
    with Sources() as sources:
        data, start, end = sources.range(part)
        yield data[start:end]


def verify(placed: Sequence[Placed], carries: bytes, tracks: Sequence[Track]) -> None:
    """Check the samples of fragments that lie in one buffer: their checksums, and every digest computed anew.

    carries: of the tracks (what_tracks_carry). Lets go of the GIL for most of it. Raises SegmentDamaged.
    """
    if not placed:
        return
    data = placed[0].data
    pieces: list[tuple[int, int, int, Any]] = []
    for _, _, offset, fragment in placed:
        head = parse_head(data, offset, verify=False)
        pieces.append((offset + head.head_bytes, head.data_bytes, head.data_crc, fragment.frames))
    found = _samples.check(data, pieces, carries)
    if found is not None:
        raise _wrong(placed[found[0]], found[1], pieces[found[0]][3], carries)
    codecs = {track.id: track.codec for track in tracks}
    for _, _, offset, fragment in placed:
        if len(fragment.frames) and fragment.frames["track"][-1] == METADATA_TRACK:
            verify_digests(fragment, data, offset, codecs, placed[0].path)


def what_tracks_carry(tracks: Sequence[Track]) -> bytes:
    """For each track id how its samples are digested, as _samples.check takes it."""
    carries = bytearray(256)
    for track in tracks:
        match track.codec:
            case Codec.H264:
                carries[track.id] = _samples.H264
            case Codec.H265:
                carries[track.id] = _samples.H265
            case _:
                packed = track.id == METADATA_TRACK
                carries[track.id] = _samples.PACKED if packed else _samples.PLAIN
    return bytes(carries)


def _wrong(placed: Placed, code: int, frames: FrameTable, carries: bytes) -> SegmentDamaged:
    if code == _samples.CRC:
        what = "the checksum of the fragment's samples is wrong"
    elif code == _samples.LONG:
        what = "the fragment's samples are longer than the fragment"
    elif code == _samples.TRACK:
        lacking = next(each for each in frames["track"].tolist() if not carries[each])
        what = f"a frame of track {lacking}, which the segment lacks"
    else:
        what = "the digest of a frame differs from its table"
    return SegmentDamaged(f"{what} (fragment at byte {placed.offset})", where=placed.path)


def verify_digests(
    fragment: Fragment, data: memoryview, offset: int, codecs: dict[int, Codec], where: str
) -> None:
    """Compute the digest of every frame anew. Raises SegmentDamaged where the table says another."""
    payloads = samples(fragment, data, offset)
    for track, digest, payload in zip(
        fragment.frames["track"].tolist(), fragment.frames["digest"].tolist(), payloads, strict=True
    ):
        codec = codecs.get(track)
        if codec is None:
            raise SegmentDamaged(f"a frame of track {track}, which the segment lacks", where=where)
        got = digest_video(payload, codec) if codec.is_video else xxh64(payload)
        if got != digest:
            raise SegmentDamaged(
                f"the digest of a frame differs from its table (fragment at byte {offset})", where=where
            )
