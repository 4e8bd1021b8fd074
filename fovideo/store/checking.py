"""Checking and repairing a store by its path, whatever state it is in."""

from __future__ import annotations

import os
from pathlib import Path

from fovideo.errors import NotAStore, SegmentDamaged, StoreDamaged, StoreError
from fovideo.index import Index
from fovideo.segment import read_header
from fovideo.store.check import Progress, segment_files
from fovideo.store.files import Files
from fovideo.store.folder import Folder
from fovideo.store.mapped import mapped
from fovideo.store.options import StoreOptions
from fovideo.store.rebuild import Kept, keep, rebuild
from fovideo.store.report import CheckReport
from fovideo.store.store import Store
from fovideo.store.writer import disk_error


def check_store(
    path: str | os.PathLike[str],
    *,
    repair: bool = False,
    progress: Progress | None = None,
    options: StoreOptions | None = None,
    files: Files | None = None,
) -> CheckReport:
    """Read a whole store and compare it with its index; `repair` builds the index anew if anything is wrong.

    A store may be checked while it is written; repair needs it for itself (StoreBusy). The index, and even
    the marker, may be missing or damaged. Raises NotAStore where nothing of a store is.
    """
    folder, options, files = Folder(Path(path)), options or StoreOptions(), files or Files()
    try:
        return _check(folder, repair, progress, options, files)
    except StoreError:
        raise
    except OSError as error:
        raise disk_error(error, str(folder.root)) from error


def _check(
    folder: Folder, repair: bool, progress: Progress | None, options: StoreOptions, files: Files
) -> CheckReport:
    report = CheckReport(location=str(folder.root))
    kept = Kept()
    try:
        if folder.read_marker() is None:
            raise NotAStore("no such store", where=report.location, hint="check the path")
        with Store.open(folder.root, write=repair, options=options, files=files) as store:
            report = store.check(progress=progress)
            if not (repair and not report.sound):
                return report
        index = Index.open(folder.index, map_bytes=options.map_bytes)
        try:
            kept = keep(index)
        finally:
            index.close()
    except StoreDamaged as error:
        report.add("index", error.what, error.where, error.hint)
    if repair:
        repair_store(folder, files, options, kept, report, progress)
    return report


def repair_store(
    folder: Folder,
    files: Files,
    options: StoreOptions,
    kept: Kept,
    report: CheckReport,
    progress: Progress | None,
) -> None:
    """Take the lock, build marker and index anew."""
    lock = folder.lock()
    if lock is None:
        raise folder.busy(0)
    try:
        if not folder.marker.exists():
            folder.write_marker(files, _identity(folder))
        rebuild(folder, files, kept, report, map_bytes=options.map_bytes, progress=progress)
    finally:
        lock.release()


def _identity(folder: Folder) -> str:
    """Id of the store that wrote the segments, "" if they do not tell."""
    for path in segment_files(folder):
        try:
            with mapped(path) as data:
                provenance = read_header(data, verify=False)[0].provenance
        except (SegmentDamaged, OSError):
            continue
        if not provenance.inserted_from and provenance.store:
            return provenance.store
    return ""
