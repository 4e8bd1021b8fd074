"""Verifying a manifest: signature, chain, and every byte of what it lists against the timeline."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from fovideo.custody.attest import Progress
from fovideo.custody.change import Change, ChangeKind
from fovideo.custody.entries import End, GopEntry, Header, StretchEntry
from fovideo.custody.footage import StretchChecker
from fovideo.custody.keys import is_signed, key_id
from fovideo.custody.reader import ManifestReader, Seal
from fovideo.custody.report import CustodyReport, Signature
from fovideo.errors import ManifestDamaged, UsageError
from fovideo.timeline.endpoint import Timeline

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def verify_manifest(
    path: str | os.PathLike[str],
    timeline: Timeline,
    *,
    key: Ed25519PublicKey | None = None,
    limit: int = 1,
    progress: Progress | None = None,
) -> CustodyReport:
    """Compare a manifest with the timeline that it was written for.

    The manifest itself comes first: chain, grammar, signature. Footage is compared only if that is as it was
    written. limit: how many changes to look for. Raises UsageError for a file that is no manifest, or one of
    another store, and the errors of the timeline.
    """
    report = CustodyReport(manifest=str(path), location=timeline.location)
    report.changes.extend(islice(_changes(path, timeline, key, report, progress), limit))
    return report


def _changes(
    path: str | os.PathLike[str],
    timeline: Timeline,
    key: Ed25519PublicKey | None,
    report: CustodyReport,
    progress: Progress | None,
) -> Iterator[Change]:
    reader = ManifestReader(path)
    try:
        header, end = _read_through(reader)
        assert reader.seal is not None
        seal = reader.seal
        for name in ("source", "target", "created", "lease", "key"):
            setattr(report, name, getattr(header, name))
        report.link = seal.link.hex()
        yield from _signature_changes(header, seal, key, report)
        if header.target != timeline.identity:
            raise UsageError(
                f"the manifest is of store {header.target}, this is {timeline.identity}",
                where=report.manifest,
                hint="check the store that was the target of the merge",
            )
        yield from _footage_changes(reader, timeline, report, end.bytes, progress)
        if reader.seal != seal:
            raise ManifestDamaged("was changed while it was read", where=report.manifest)
    except ManifestDamaged as error:
        yield Change(kind=ChangeKind.MANIFEST, what=error.what, where=error.where)


def _read_through(reader: ManifestReader) -> tuple[Header, End]:
    """First and last entry, when all between fit."""
    header = end = None
    for _, entry in reader:
        if isinstance(entry, Header):
            header = entry
        elif isinstance(entry, End):
            end = entry
    assert header is not None
    assert end is not None
    return header, end


def _signature_changes(
    header: Header, seal: Seal, key: Ed25519PublicKey | None, report: CustodyReport
) -> Iterator[Change]:
    if bool(header.key) != bool(seal.signature):
        what = f"the header names the key {header.key or 'none'}, but the signature is " + (
            "there" if seal.signature else "missing"
        )
    elif key is None:
        report.signature = Signature.UNCHECKED if seal.signature else Signature.ABSENT
        return
    elif not seal.signature:
        what = "not signed, though a public key was given"
    elif header.key != key_id(key):
        what = f"signed by {header.key}, not by the key that was given, {key_id(key)}"
    elif is_signed(key, seal.link, seal.signature):
        report.signature = Signature.GOOD
        return
    else:
        what = "the signature is not that of the key: the manifest was changed"
    report.signature = Signature.BAD
    yield Change(kind=ChangeKind.SIGNATURE, what=what, where=report.manifest)


def _footage_changes(
    reader: ManifestReader,
    timeline: Timeline,
    report: CustodyReport,
    total_bytes: int,
    progress: Progress | None,
) -> Iterator[Change]:
    checker: StretchChecker | None = None
    for _, entry in reader:
        if isinstance(entry, GopEntry):
            assert checker is not None
            yield from checker.gop_changes(entry)
            report.gops += 1
            report.frames += entry.frames
            report.size_bytes += entry.bytes
            if progress is not None:
                progress(report.size_bytes, total_bytes)
            continue
        if checker is not None:
            yield from checker.end_changes()
            report.stretches += 1
            checker = None
        if isinstance(entry, StretchEntry):
            checker = StretchChecker(timeline, entry)
            yield from checker.begin_changes()
