"""Plans in a file: JSON to be looked at, and carried out later by `fovideo merge --plan`."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from fovideo.decoding import from_json
from fovideo.errors import UsageError
from fovideo.merge.doing.verify import REACH_NS
from fovideo.merge.manifest import Manifest
from fovideo.merge.values import Kind, Plan, Seen, Span, joined
from fovideo.timeline.values import Gop
from fovideo.times import format_ns

VERSION = 1


class SavedPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The plans of all streams. source, target: locations. summary: for people; not read again.
    sha256: of the plans, so that what was looked at is what is done.
    """

    fovideo_plan: int = VERSION
    created: str
    source: str
    target: str
    summary: list[dict[str, Any]] = []
    sha256: str = ""
    plans: tuple[Plan, ...]


def seen(plan: Plan, source: Manifest, held: Manifest) -> Seen:
    """What a plan rests on, as it is now. held: of the target, of all that the plan reaches."""
    taken = {piece.serial for stretch in plan.stretches for piece in stretch.pieces}
    return Seen(
        source=fingerprint(row for row in source.rows if row.serial in taken),
        target=fingerprint(around(plan, held)),
        newest=max((row.serial for row in held.rows), default=0),
    )


def around(plan: Plan, held: Manifest) -> list[Gop]:
    """The target's rows with which the stretches of a plan have to do."""
    span = reach(plan)
    return [row for row in held.rows if row.end_ns > span.from_ns and row.start_ns < span.to_ns]


def reach(plan: Plan) -> Span:
    """Where a plan inserts, and a little more."""
    return Span(
        min((stretch.span.from_ns for stretch in plan.stretches), default=0) - REACH_NS,
        max((stretch.span.to_ns for stretch in plan.stretches), default=0) + REACH_NS,
    )


def fingerprint(rows: Iterable[Gop]) -> str:
    """The same for rows that are the same, at the same times."""
    hashed = hashlib.sha256()
    for row in sorted(rows, key=lambda row: row.serial):
        hashed.update(struct.pack("<3q", row.serial, row.start_ns, row.shift_ns))
    return hashed.hexdigest()[:32]


def save_plans(
    path: str | os.PathLike[str], plans: Sequence[Plan], *, source: str, target: str, now_ns: int
) -> None:
    """Write them to a new file. UsageError if it is there already, or cannot be written."""
    saved = SavedPlan(
        created=format_ns(now_ns),
        source=source,
        target=target,
        summary=[_summary(plan) for plan in plans],
        sha256=_sha256(plans),
        plans=tuple(plans),
    )
    data = msgspec.json.format(msgspec.json.encode(saved), indent=1)
    try:
        with Path(path).open("xb") as file:
            file.write(data + b"\n")
    except FileExistsError:
        raise UsageError("is there already", where=str(path), hint="give the plan a new name") from None
    except OSError as error:
        raise UsageError(f"cannot write the plan: {error.strerror}", where=str(path)) from None


def load_plans(path: str | os.PathLike[str]) -> SavedPlan:
    """Read them again. UsageError if it is no file of plans, or not as it was saved."""
    try:
        saved = from_json(Path(path).read_bytes(), SavedPlan)
    except OSError as error:
        raise UsageError(f"cannot read the plan: {error.strerror}", where=str(path)) from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"not a saved plan: {error}", where=str(path)) from None
    if saved.fovideo_plan != VERSION:
        raise UsageError(
            f"a plan of version {saved.fovideo_plan}, this is version {VERSION}",
            where=str(path),
            hint="plan again",
        )
    if saved.sha256 != _sha256(saved.plans):
        raise UsageError("was changed since it was saved", where=str(path), hint="plan again")
    return saved


def _sha256(plans: Sequence[Plan]) -> str:
    return hashlib.sha256(msgspec.json.encode(tuple(plans))).hexdigest()


def _summary(plan: Plan) -> dict[str, Any]:
    kinds = {kind: [each for each in plan.stretches if each.kind is kind] for kind in Kind}
    return {
        "stream": plan.stream,
        "frames": sum(stretch.frames for stretch in plan.stretches),
        "bytes": sum(stretch.size_bytes for stretch in plan.stretches),
        **{
            str(kind): [
                {"from": format_ns(span.from_ns), "to": format_ns(span.to_ns)}
                for span in joined(stretch.span for stretch in found)
            ]
            for kind, found in kinds.items()
            if found
        },
    }
