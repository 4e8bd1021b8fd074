"""Retention: free the oldest segments beyond an age or a quota."""

from __future__ import annotations

import contextlib
import logging

import msgspec

from fovideo.index import Index, SegmentRow, SegmentState, Update
from fovideo.store.files import Files
from fovideo.store.folder import Folder
from fovideo.store.options import StoreOptions
from fovideo.timeline.values import GopFlag, Loss

log = logging.getLogger(__name__)

_BATCH = 64
_EXPIRED = "expired"


class Expired(msgspec.Struct):
    """What retention has freed.

    lost_frames: frames among them that no other store was known to hold (PENDING); each stretch of them is a
    Loss.
    over_bytes: bytes by which the store is still above its quota: only segments that are being written are
    left.
    """

    segments: int = 0
    frames: int = 0
    size_bytes: int = 0
    lost_frames: int = 0
    over_bytes: int = 0


def expire(folder: Folder, files: Files, index: Index, options: StoreOptions, now_ns: int) -> Expired:
    """Free segments that end before now_ns - max_age_ns, then the oldest until the store is within its quota.

    What is PENDING is kept however old, and freed only when the quota cannot be met otherwise. A segment that
    is being written is never freed. Rows vanish first, files second; a crash between is finished by recovery.
    """
    report = Expired()
    with index.view() as view:
        doomed = [row for row in view.unsealed() if row.state is SegmentState.DOOMED]
    while True:
        done: list[tuple[Expired, list[SegmentRow], bool]] = []

        def apply(update: Update, done: list[tuple[Expired, list[SegmentRow], bool]] = done) -> None:
            done[:] = [_doom(update, options, now_ns)]

        index.update(apply)
        ((part, rows, more),) = done
        report.segments += part.segments
        report.frames += part.frames
        report.size_bytes += part.size_bytes
        report.lost_frames += part.lost_frames
        report.over_bytes = part.over_bytes
        _remove(folder, files, index, doomed + rows)
        doomed = []
        if not more:
            return report


def _doom(update: Update, options: StoreOptions, now_ns: int) -> tuple[Expired, list[SegmentRow], bool]:
    """One batch: what was freed, the segments whose files are to be removed, whether there may be more."""
    part = Expired()
    limit_ns = now_ns - options.max_age_ns if options.max_age_ns else 0
    over = update.number("bytes") - options.quota_bytes if options.quota_bytes else 0
    victims: list[SegmentRow] = []
    for pending in (False, True):
        for row in update.oldest(pending=pending, limit=_BATCH - len(victims)):
            if over > 0 or (not pending and row.end_ns <= limit_ns):
                victims.append(row)
                over -= row.size_bytes
            else:
                break
    for row in victims:
        _doom_segment(update, row.id, part)
    for name in {row.stream for row in victims}:
        stream = update.stream(name)
        first = update.first_gop(stream)
        if first is not None:
            update.drop_losses(stream, first.start_ns, keep=_EXPIRED)
    part.over_bytes = max(over, 0)
    return part, victims, len(victims) == _BATCH


def _doom_segment(update: Update, number: int, part: Expired) -> None:
    segment = update.segment(number)
    assert segment is not None
    stream = update.stream(segment.stream)
    lost: Loss | None = None
    for gop in update.segment_gops(number):
        update.drop_gop(gop.serial)
        part.frames += gop.frames
        if gop.flags & GopFlag.PENDING:
            known = lost or Loss(gop.start_ns, gop.end_ns, 0, _EXPIRED)
            lost = Loss(
                min(known.start_ns, gop.start_ns),
                max(known.end_ns, gop.end_ns),
                known.frames + gop.frames,
                _EXPIRED,
            )
    if lost is not None:
        update.put_loss(stream, lost)
        part.lost_frames += lost.frames
        log.warning("%s: %d frames expired before they were merged", segment.stream, lost.frames)
    part.segments += 1
    part.size_bytes += segment.size_bytes
    segment.state = SegmentState.DOOMED
    stream.generation += 1


def _remove(folder: Folder, files: Files, index: Index, doomed: list[SegmentRow]) -> None:
    gone = []
    for row in doomed:
        path = folder.find(row.path, row.id)
        try:
            files.remove(path)
        except OSError as error:
            log.warning("cannot remove %s, will try again: %s", path, error)
            continue
        gone.append(row.id)
        with contextlib.suppress(OSError):
            path.parent.rmdir()

    def forget(update: Update) -> None:
        for number in gone:
            update.drop_segment(number)

    if gone:
        index.update(forget)
