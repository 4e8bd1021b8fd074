"""What travels between fovideo processes, for both ends of it. The page of this format: docs/ref/http.md."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

import msgspec

from fovideo import errors
from fovideo.decoding import from_msgpack
from fovideo.errors import (
    ChangedOnTheWay,
    FovideoError,
    NothingThere,
    PeerError,
    PeerUnauthorized,
    StoreDamaged,
    StoreError,
    UsageError,
)
from fovideo.media.codec import Track
from fovideo.media.nal import xxh64
from fovideo.timeline.endpoint import FileRange, Stretch
from fovideo.timeline.values import Gop, Provenance

API = "/v1"
MSGPACK = "application/msgpack"
PAGE_ROWS = 5000
"""Rows in one answer; a client asks for the next page."""

HEAD_LIMIT_BYTES = 1 << 20
CHUNK_BYTES = 1 << 20

_LENGTH = struct.Struct(">I")
_KINDS = {
    kind.__name__: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, FovideoError) and kind is not PeerUnauthorized
}


class GopPage(msgspec.Struct, frozen=True):
    """Rows of a stream. more: ask again, for those after the last one."""

    gops: list[Gop]
    more: bool = False


class Serials(NamedTuple):
    """Rows first to last, of one segment."""

    first: int
    last: int


def encode_serials(serials: Iterable[int]) -> str:
    """Rows in this order, as text: neighbours together."""
    runs: list[list[int]] = []
    for serial in serials:
        if runs and runs[-1][1] + 1 == serial:
            runs[-1][1] = serial
        else:
            runs.append([serial, serial])
    return ",".join(f"{first}-{last}" for first, last in runs)


def decode_serials(text: str) -> list[Serials]:
    """UsageError if it says no rows, or far more than anybody needs at a time."""
    if not re.fullmatch(r"\d{1,19}-\d{1,19}(,\d{1,19}-\d{1,19})*", text):
        raise UsageError(f"not rows: {text[:40]!r}", hint="rows=FIRST-LAST,FIRST-LAST")
    runs = [Serials(*map(int, run.split("-"))) for run in text.split(",")]
    if sum(max(run.last - run.first, 0) + 1 for run in runs) > PAGE_ROWS:
        raise UsageError(f"more than {PAGE_ROWS} rows at a time")
    return runs


class Problem(msgspec.Struct, frozen=True):
    """An error as it travels: the name of its class in fovideo.errors, and its three parts."""

    kind: str
    what: str
    where: str = ""
    hint: str = ""

    @classmethod
    def of(cls, error: FovideoError) -> Problem:
        return cls(type(error).__name__, error.what, error.where, error.hint)

    def error(self, location: str) -> FovideoError:
        """The error as this side raises it; location: the peer, for `where`."""
        where = f"{location}: {self.where}" if self.where else location
        return _KINDS.get(self.kind, PeerError)(self.what, where=where, hint=self.hint)


class Failure(msgspec.Struct, frozen=True):
    """Body of every answer that is no success."""

    error: Problem


class StretchHead(msgspec.Struct, frozen=True, kw_only=True):
    """A Stretch without its parts: the first thing in the body of an insertion. sizes: bytes of each part.
    checksum: see `sealed`.
    """

    tracks: tuple[Track, ...]
    provenance: Provenance
    generation: int
    shift_ns: int
    epoch: int
    sizes: tuple[int, ...]
    checksum: int = 0

    @classmethod
    def of(cls, stretch: Stretch) -> StretchHead:
        return cls(
            tracks=stretch.tracks,
            provenance=stretch.provenance,
            generation=stretch.generation,
            shift_ns=stretch.shift_ns,
            epoch=stretch.epoch,
            sizes=tuple(size_of(part) for part in stretch.parts),
        )

    def stretch(self, stream: str, parts: tuple[bytes | FileRange, ...]) -> Stretch:
        return Stretch(
            stream=stream,
            tracks=self.tracks,
            provenance=self.provenance,
            generation=self.generation,
            shift_ns=self.shift_ns,
            epoch=self.epoch,
            parts=parts,
        )


class Settled(msgspec.Struct, frozen=True):
    """Body of a settle request: serials of rows. checksum: see `sealed`."""

    gops: list[int]
    checksum: int = 0


_Sealed = TypeVar("_Sealed", StretchHead, Settled)


def sealed(value: _Sealed, stream: str) -> _Sealed:
    """With the XXH64 of the stream's name and of the msgpack that it has with checksum 0."""
    return msgspec.structs.replace(value, checksum=_sum(value, stream))


def check_seal(value: StretchHead | Settled, stream: str) -> None:
    """Raise ChangedOnTheWay if it has a checksum, and that is another's."""
    if value.checksum and value.checksum != _sum(value, stream):
        raise ChangedOnTheWay(f"what was asked of {stream} was changed on the way")


def _sum(value: StretchHead | Settled, stream: str) -> int:
    return xxh64(stream.encode() + msgspec.msgpack.encode(msgspec.structs.replace(value, checksum=0)))


def encode_head(head: StretchHead) -> bytes:
    """Length (4 bytes, big-endian) and msgpack of the head; the parts follow it."""
    body = msgspec.msgpack.encode(head)
    return _LENGTH.pack(len(body)) + body


def head_length(data: bytes | bytearray) -> int | None:
    """Bytes of the head including its length, once the first four are there. PeerError if absurd."""
    if len(data) < _LENGTH.size:
        return None
    length: int = _LENGTH.unpack_from(data)[0]
    if length > HEAD_LIMIT_BYTES:
        raise PeerError("the body is no stretch", hint="see docs/ref/http.md")
    return _LENGTH.size + length


def decode_head(data: bytes | bytearray) -> StretchHead:
    """The head in exactly these bytes. PeerError if it is none."""
    try:
        return from_msgpack(memoryview(data)[_LENGTH.size :], StretchHead)
    except msgspec.MsgspecError as error:
        raise PeerError(f"the head of the stretch cannot be read: {error}") from None


def opened(part: FileRange) -> BinaryIO:
    """The file that a part is of. Raises NothingThere when it is gone, StoreError."""
    try:
        return Path(part.path).open("rb")
    except FileNotFoundError:
        raise NothingThere("the footage has expired", where=part.path) from None
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror}", where=part.path) from None


def chunks(part: bytes | FileRange) -> Iterator[bytes]:
    """The bytes of a part, in pieces. Raises NothingThere when its file is gone, StoreError."""
    if isinstance(part, bytes):
        yield part
        return
    with opened(part) as file:
        left = part.size_bytes
        file.seek(part.offset)
        while left:
            piece = file.read(min(left, CHUNK_BYTES))
            if not piece:
                raise StoreDamaged(f"ends {left} bytes early", where=part.path)
            left -= len(piece)
            yield piece


def size_of(part: bytes | FileRange) -> int:
    """Bytes of a part."""
    return part.size_bytes if isinstance(part, FileRange) else len(part)


def joined(parts: Iterable[bytes | FileRange]) -> list[bytes | FileRange]:
    """The same bytes in fewer parts: what lies together in a file becomes one."""
    result: list[bytes | FileRange] = []
    for part in parts:
        last = result[-1] if result else None
        if (
            isinstance(part, FileRange)
            and isinstance(last, FileRange)
            and last.path == part.path
            and last.offset + last.size_bytes == part.offset
        ):
            result[-1] = FileRange(last.path, last.offset, last.size_bytes + part.size_bytes)
        else:
            result.append(part)
    return result


def cut_out(parts: Iterable[bytes | FileRange], start: int, stop: int) -> Iterator[bytes | FileRange]:
    """Bytes start..stop (exclusive) of the parts, as parts."""
    at = 0
    for part in parts:
        size = size_of(part)
        first, last = max(start - at, 0), min(stop - at, size)
        at += size
        if first >= last:
            continue
        if isinstance(part, FileRange):
            yield FileRange(part.path, part.offset + first, last - first)
        else:
            yield part[first:last]
