"""The parts of a stretch: bytes in memory or in files, read and verified without copying them."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fovideo.errors import SegmentDamaged
from fovideo.media.codec import Codec, Track
from fovideo.media.nal import crc32c, digest_video, xxh64
from fovideo.segment import Fragment, fragments, samples
from fovideo.segment.fragment import parse_head
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


@contextlib.contextmanager
def opened(part: bytes | FileRange) -> Iterator[memoryview]:
    """The bytes of one part; those of a file are mapped, not read."""
    with Sources() as sources:
        data, start, end = sources.range(part)
        yield data[start:end]


def verify(placed: Placed, tracks: Sequence[Track]) -> None:
    """Check the samples: their checksum, and every digest computed anew. Raises SegmentDamaged."""
    _, data, offset, fragment = placed
    head = parse_head(data, offset)
    start = offset + head.head_bytes
    if crc32c(data[start : start + head.data_bytes]) != head.data_crc:
        raise SegmentDamaged(
            f"the checksum of the fragment's samples is wrong (byte {offset})", where=placed.path
        )
    verify_digests(fragment, data, offset, {track.id: track.codec for track in tracks}, placed.path)


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
