"""The record of one merge: remembers what is inserted, and writes the manifest when all is verified.

A merge that was killed leaves a note beside the manifest's name; the next one that writes the same manifest
lists what the killed one had inserted, too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from fovideo.custody.attest import Progress, Taken, attest, rows_of
from fovideo.custody.entries import VERSION, Header
from fovideo.custody.keys import key_id
from fovideo.custody.writer import Written, refuse_existing, require_writable, unwritable, write_manifest
from fovideo.decoding import from_json
from fovideo.errors import NoSuchStream, UsageError
from fovideo.platform import fsync_dir
from fovideo.timeline.endpoint import Timeline
from fovideo.timeline.values import Provenance
from fovideo.times import format_ns

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class _Begun(msgspec.Struct, frozen=True):
    """The note beside the manifest's name: a merge of these stores has begun."""

    source: str
    target: str
    since_ns: int


class CustodyRecord:
    """Of one merge, from before its first insertion to its manifest. Made by begin()."""

    def __init__(
        self,
        path: Path,
        begun: _Begun,
        target: Timeline,
        lease: int,
        key: Ed25519PrivateKey | None,
        wall_clock: Callable[[], int],
        *,
        noted: bool,
    ) -> None:
        """Use CustodyRecord.begin. noted: an attempt that was cut off has left this note."""
        self.path = path
        self._begun, self._resumed, self._noted = begun, noted, noted
        self._target, self._lease, self._key, self._wall_clock = target, lease, key, wall_clock
        self._taken: list[Taken] = []

    @classmethod
    def begin(
        cls,
        path: str | os.PathLike[str],
        source: Timeline,
        target: Timeline,
        *,
        lease: int = 0,
        key: Ed25519PrivateKey | None = None,
        wall_clock: Callable[[], int] = time.time_ns,
    ) -> CustodyRecord:
        """Begin, before the merge does. Raises UsageError where no manifest can be written to `path`."""
        begun = _Begun(source.identity, target.identity, wall_clock())
        return cls._begin(Path(path), begun, target, lease, key, wall_clock)

    @classmethod
    def of_other(
        cls,
        path: str | os.PathLike[str],
        source: str,
        target: Timeline,
        *,
        since_ns: int,
        key: Ed25519PrivateKey | None = None,
        wall_clock: Callable[[], int] = time.time_ns,
    ) -> CustodyRecord:
        """Of a merge that another process carries out, or has: what the target got from the store of that
        id since an instant of that process.
        """
        begun = _Begun(source, target.identity, since_ns)
        record = cls._begin(Path(path), begun, target, 0, key, wall_clock)
        record._note()
        record._resumed = True
        return record

    @classmethod
    def _begin(
        cls,
        path: Path,
        begun: _Begun,
        target: Timeline,
        lease: int,
        key: Ed25519PrivateKey | None,
        wall_clock: Callable[[], int],
    ) -> CustodyRecord:
        check_path(path)
        note = _note_of(path)
        before = _read(note)
        if before is not None and (before.source, before.target) != (begun.source, begun.target):
            raise UsageError(
                "a merge of other stores has begun this manifest, and not finished",
                where=str(note),
                hint="give this merge a manifest of its own, or remove that file",
            )
        return cls(path, before or begun, target, lease, key, wall_clock, noted=before is not None)

    def inserted(self, stream: str, provenance: Provenance, from_ns: int, to_ns: int) -> None:
        """Note that a stretch is inserted now (effective times of the target). To be called before it is."""
        self._note()
        self._taken.append(Taken(stream, provenance, from_ns, to_ns))

    def _note(self) -> None:
        if not self._noted:
            _write(_note_of(self.path), self._begun)
            self._noted = True

    def finish(self, progress: Progress | None = None, *, until_ns: int | None = None) -> Written:
        """Once the merge is verified: read what it inserted back from the target, and write the manifest.

        until_ns: of another process's merge, when it ended.
        """
        taken = self._taken + self._cut_off(until_ns)
        header = Header(
            version=VERSION,
            source=self._begun.source,
            target=self._target.identity,
            created=format_ns(self._wall_clock()),
            lease=self._lease,
            key="" if self._key is None else key_id(self._key.public_key()),
        )
        entries = attest(self._target, rows_of(self._target, taken), progress)
        written = write_manifest(self.path, header, entries, self._key)
        _note_of(self.path).unlink(missing_ok=True)
        return written

    def _cut_off(self, until_ns: int | None) -> list[Taken]:
        """What attempts that were cut off have inserted."""
        if not self._resumed:
            return []
        found = []
        for info in self._target.streams():
            try:
                provenances = self._target.provenances(info.name).values()
            except NoSuchStream:
                continue
            found += [
                Taken(info.name, provenance)
                for provenance in provenances
                if provenance.inserted_from == self._begun.source
                and provenance.inserted_ns >= self._begun.since_ns
                and (until_ns is None or provenance.inserted_ns <= until_ns)
            ]
        return found


def check_path(path: Path) -> None:
    """Raise UsageError where no manifest can be written to `path`."""
    refuse_existing(path)
    require_writable(path)


def _note_of(path: Path) -> Path:
    return path.with_name(path.name + ".begun")


def _read(note: Path) -> _Begun | None:
    try:
        return from_json(note.read_bytes(), _Begun)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unwritable(note, error) from error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise UsageError(
            "not the note of a merge that has begun", where=str(note), hint="remove it"
        ) from None


def _write(note: Path, begun: _Begun) -> None:
    new = note.with_name(note.name + ".new")
    try:
        with new.open("wb") as file:
            file.write(msgspec.json.encode(begun) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(note)
        fsync_dir(note.absolute().parent)
    except OSError as error:
        raise unwritable(note, error) from error
