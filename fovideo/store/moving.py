"""Moving the parts of a stretch into a segment: read, checked, given new heads, written, piece by piece."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from fovideo.errors import SegmentDamaged
from fovideo.media.codec import METADATA_TRACK, Track
from fovideo.media.frames import FRAME, FrameTable
from fovideo.platform import read_in_order, share_blocks
from fovideo.segment import Fragment, Notes, Room, SegmentHeader, fragments, relocate
from fovideo.segment._move import move
from fovideo.segment.fragment import FRAGMENT_UUID, FRAGMENT_VERSION
from fovideo.segment.moof import described
from fovideo.store.files import Files
from fovideo.store.parts import Placed, Sources, verify, verify_digests, what_tracks_carry
from fovideo.timeline.endpoint import FileRange

Part: TypeAlias = bytes | FileRange

_BLOCK_BYTES = 4096


class Carried(NamedTuple):
    """A fragment that has been moved. head_bytes: before its samples."""

    size_bytes: int
    head_bytes: int
    frames: FrameTable


def size_of(part: Part) -> int:
    return part.size_bytes if isinstance(part, FileRange) else len(part)


class Mover:
    """Fills one file, from `at` on. Not for two threads at a time.

    copies: False = the parts lie in that file, where they shall be; only their heads are written.
    """

    def __init__(
        self, files: Files, fd: int, header: SegmentHeader, tracks: Sequence[Track], at: int, *, copies: bool
    ) -> None:
        self._files, self._fd, self._header, self._tracks = files, fd, header, tracks
        self._carries, self._described = what_tracks_carry(tracks), described(header.tracks)
        self._at, self._count, self._copies = at, 0, copies
        self._shares = copies
        self._room = Room()
        self._file: io.FileIO | None = None
        self._path = ""

    def __enter__(self) -> Mover:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def take(self, parts: Sequence[Part]) -> list[Carried]:
        """Move parts behind those before. Raises SegmentDamaged for what is not as it says, OSError."""
        view = self._room.take(sum(map(size_of, parts)), self._at)
        at = 0
        for part in _joined(parts):
            at = self._read(part, view, at)
        found = self._settle(view, parts)
        self._write(view, found, parts)
        self._at += len(view)
        self._count += len(found)
        return found

    def _read(self, part: Part, view: memoryview, at: int) -> int:
        end = at + size_of(part)
        if isinstance(part, bytes):
            view[at:end] = part
            return end
        if self._file is None or part.path != self._path:
            if self._file is not None:
                self._file.close()
            self._path, self._file = part.path, io.FileIO(part.path)
            read_in_order(self._file.fileno())
        self._file.seek(part.offset)
        while at < end:
            count = self._file.readinto(view[at:end])
            if not count:
                raise SegmentDamaged("the file is shorter than its index says", where=part.path)
            at += count
        return end

    def _settle(self, view: memoryview, parts: Sequence[Part]) -> list[Carried]:
        """Check the fragments in the buffer, and give them their new heads."""
        header = self._header
        tables, found = move(
            view,
            self._described,
            self._carries,
            FRAGMENT_UUID,
            FRAGMENT_VERSION,
            self._count + 1,
            header.base_ns,
            header.epoch,
        ) or (b"", [])
        table = np.frombuffer(tables, FRAME)
        result, at, row = [], 0, 0
        for _, size, head, rows in found:
            result.append(Carried(size, head, table[row : row + rows]))
            at, row = at + size, row + rows
        if self._carries[METADATA_TRACK]:
            self._check_documents(view, result, parts)
        if at < len(view):
            self._settle_slowly(view, at, result, parts)
        return result

    def _check_documents(self, view: memoryview, found: Sequence[Carried], parts: Sequence[Part]) -> None:
        codecs = {track.id: track.codec for track in self._tracks}
        at = 0
        for size, head, frames in found:
            if frames["track"][-1] == METADATA_TRACK:
                fragment = Fragment(at, size, 0, 0, frames, Notes(), head, False)
                try:
                    verify_digests(fragment, view, at, codecs, "")
                except SegmentDamaged:
                    self._blame(parts)
                    raise
            at += size

    def _settle_slowly(
        self, view: memoryview, start: int, result: list[Carried], parts: Sequence[Part]
    ) -> None:
        """Those that compiled code leaves alone: with notes, without frames, with many frames, damaged."""
        header = self._header
        try:
            for fragment in fragments(view, start, verify=False):
                at = fragment.offset
                verify([Placed("", view, at, fragment)], self._carries, self._tracks)
                number = self._count + len(result) + 1
                head = relocate(fragment, view, at, header, number, header.epoch, verify=False)
                view[at : at + len(head)] = head
                result.append(Carried(fragment.size_bytes, fragment.data_offset, fragment.frames))
        except SegmentDamaged:
            self._blame(parts)
            raise

    def _blame(self, parts: Sequence[Part]) -> None:
        """Raise SegmentDamaged, naming file and place, for what is wrong in the parts themselves."""
        with Sources() as sources:
            for part in parts:
                verify(list(sources.placed([part])), self._carries, self._tracks)

    def _write(self, view: memoryview, found: Sequence[Carried], parts: Sequence[Part]) -> None:
        first, behind = self._shared(parts, len(view)) if self._copies else (0, len(view))
        if first == behind:
            # Two buffers, since a large one alone would wait for the disk instead of the page cache.
            self._files.write(self._fd, [view[:_BLOCK_BYTES], view[_BLOCK_BYTES:]], self._at)
            return
        at = 0
        for each in found:
            self._files.write(self._fd, [view[at : at + each.head_bytes]], self._at + at)
            at += each.size_bytes
        if first:
            self._files.write(self._fd, [view[:first]], self._at)
        if behind < len(view):
            self._files.write(self._fd, [view[behind:]], self._at + behind)

    def _shared(self, parts: Sequence[Part], size: int) -> tuple[int, int]:
        """Which bytes of the piece the file now shares with that of the parts; (0, 0): none."""
        whole, *more = _joined(parts)
        if not self._shares or self._file is None or more or isinstance(whole, bytes):
            return 0, 0
        first = -self._at % _BLOCK_BYTES
        behind = size - (self._at + size) % _BLOCK_BYTES
        offset = whole.offset
        if (offset + first) % _BLOCK_BYTES:
            return 0, 0
        if behind <= first:
            return 0, 0
        with contextlib.suppress(OSError):
            if share_blocks(self._file.fileno(), offset + first, self._fd, self._at + first, behind - first):
                return first, behind
        self._shares = False
        return 0, 0


def _joined(parts: Sequence[Part]) -> list[Part]:
    """The same bytes, those that lie together in one file as one part."""
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else b""
        if isinstance(part, bytes) or isinstance(last, bytes):
            joined.append(part)
        elif part.path == last.path and part.offset == last.offset + last.size_bytes:
            joined[-1] = FileRange(part.path, last.offset, last.size_bytes + part.size_bytes)
        else:
            joined.append(part)
    return joined
