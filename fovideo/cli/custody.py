"""What `merge` and `check` do with a custody manifest."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import rich_click as click

from fovideo.cli.output import out, print_json, progress
from fovideo.cli.peers import open_timeline
from fovideo.custody import (
    CustodyRecord,
    Written,
    check_path,
    load_public_key,
    load_signing_key,
    verify_manifest,
)
from fovideo.errors import UsageError
from fovideo.timeline.endpoint import Timeline

if TYPE_CHECKING:
    from fovideo.merge.doing.running import MergeStatus

_FILE = click.Path(path_type=Path)

write_manifest = click.option(
    "--manifest", type=_FILE, help="List in this new file what is inserted, hashed so that changes show."
)
sign_key = click.option("--sign-key", type=_FILE, help="Ed25519 private key (PEM) to sign the manifest with.")
read_manifest = click.option(
    "--manifest", type=_FILE, help="Compare only what this manifest of a merge lists, byte for byte."
)
public_key = click.option(
    "--public-key", type=_FILE, help="Ed25519 public key (PEM) that must have signed it."
)


class Manifest:
    """The manifest that a merge is asked for; begin() before the merge, finish() when it is verified."""

    def __init__(self, path: Path | None, key: Path | None, *, dry_run: bool) -> None:
        if path is None and key is not None:
            raise UsageError("--sign-key signs a manifest", hint="give --manifest too")
        if path is not None and dry_run:
            raise UsageError("a dry run inserts nothing that a manifest could list", hint="leave one out")
        self._path = path
        self._key = None if key is None else load_signing_key(key)

    @property
    def is_wanted(self) -> bool:
        return self._path is not None

    def begin(self, source: Timeline, target: Timeline) -> CustodyRecord | None:
        """None if no manifest is asked for."""
        if self._path is None:
            return None
        return CustodyRecord.begin(self._path, source, target, key=self._key)

    def check(self) -> None:
        """Raise UsageError if one is asked for and cannot be written."""
        if self._path is not None:
            check_path(self._path)

    def begin_pull(self, status: MergeStatus, target: Timeline) -> CustodyRecord | None:
        """Of a pull into `target`, once it is known what store it pulls from."""
        if self._path is None or not status.source_id:
            return None
        return CustodyRecord.of_other(
            self._path, status.source_id, target, since_ns=status.ordered_ns, key=self._key
        )


def finish(record: CustodyRecord, bar: Any, *, until_ns: int | None = None) -> Written:
    """Write the manifest, with a progress bar of its own."""
    return record.finish(_shown(bar, "manifest"), until_ns=until_ns)


def manifest_json(written: Written) -> dict[str, Any]:
    """The object `manifest` of `merge --json`."""
    plain: dict[str, Any] = msgspec.to_builtins(written)
    plain["bytes"] = plain.pop("size_bytes")
    return plain


def show_manifest(written: Written) -> None:
    """One line about what was written."""
    signed = "signed" if written.signed else "not signed"
    what = f"{written.stretches} stretches, {written.gops} GOPs, {written.frames} frames; {signed}"
    out.print(f"manifest {written.path}: {what}; link {written.link}", markup=False, highlight=False)


def check_manifest(store: str, manifest: Path, key: Path | None, *, as_json: bool) -> int:
    """Compare a manifest with a store and show the first change; returns the exit code."""
    public = None if key is None else load_public_key(key)
    with closing(open_timeline(store)) as timeline, progress(quiet=as_json) as bar:
        report = verify_manifest(manifest, timeline, key=public, progress=_shown(bar, "checking"))
    if as_json:
        print_json(report.as_json())
    else:
        for change in report.changes:
            out.print(str(change), markup=False, highlight=False)
        out.print(report.summary, markup=False, highlight=False)
    return 0 if report.sound else 1


def _shown(bar: Any, name: str) -> Callable[[int, int], None]:
    task = bar.add_task(name, total=None)
    return lambda done, total: bar.update(task, completed=done, total=total)
