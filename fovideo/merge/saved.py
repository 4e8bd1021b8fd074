"""Plans in a file: JSON to be looked at, and carried out later by `fovideo merge --plan`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from fovideo.decoding import from_json
from fovideo.errors import UsageError
from fovideo.merge.report import joined
from fovideo.merge.values import Kind, Plan
from fovideo.times import format_ns

VERSION = 1


class SavedPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The plans of all streams. source, target: locations. summary: for people; not read again."""

    fovideo_plan: int = VERSION
    created: str
    source: str
    target: str
    summary: list[dict[str, Any]] = []
    plans: tuple[Plan, ...]


def save_plans(
    path: str | os.PathLike[str], plans: tuple[Plan, ...], *, source: str, target: str, now_ns: int
) -> None:
    """Write them to a new file. UsageError if it is there already, or cannot be written."""
    saved = SavedPlan(
        created=format_ns(now_ns),
        source=source,
        target=target,
        summary=[_summary(plan) for plan in plans],
        plans=plans,
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
    """Read them again. UsageError if it is no file of plans."""
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
    return saved


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
