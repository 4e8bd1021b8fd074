"""Values of a merge plan. Pure data, msgspec structs, so a plan can be saved and looked at."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from fovideo.timeline.values import Provenance


class Kind(StrEnum):
    """Why a stretch is inserted, and whether the timeline shows it."""

    FILL = "fill"  # the target lacks it, and it decodes where it goes
    HELD = "held"  # the target lacks it, but what it continues is missing: kept, shown once that comes
    CONFLICT = "conflict"  # the target has other content of the same instants: kept, not shown
    DOUBTFUL = "doubtful"  # the target has equal frames, but perhaps those of another lap: kept, not shown

    @property
    def is_shown(self) -> bool:
        """Whether the timeline shows it, now or once what it continues comes."""
        return self not in (Kind.CONFLICT, Kind.DOUBTFUL)


class Span(msgspec.Struct, frozen=True):
    """[from_ns, to_ns), effective times of the target."""

    from_ns: int
    to_ns: int


class Piece(msgspec.Struct, frozen=True):
    """A row of the source, or some of its frames.

    serial: of the source's row. rows: rows of its frame table, empty = all, so its bytes move as they stand.
    frames: of the primary track. others: of the other tracks. size_bytes: of the samples. dts_ns: stored
    decode times to give them, one per row, where their own would put them in the wrong order; else empty.
    """

    serial: int
    rows: tuple[int, ...]
    frames: int
    others: int
    size_bytes: int
    dts_ns: tuple[int, ...] = ()


class PlannedStretch(msgspec.Struct, frozen=True, kw_only=True):
    """What one insertion brings: pieces of one source segment that share tracks, provenance, shift and
    clock.
    """

    kind: Kind
    provenance: Provenance
    shift_ns: int
    epoch: int
    span: Span
    pieces: tuple[Piece, ...]

    @property
    def frames(self) -> int:
        return sum(piece.frames for piece in self.pieces)

    @property
    def others(self) -> int:
        return sum(piece.others for piece in self.pieces)

    @property
    def size_bytes(self) -> int:
        return sum(piece.size_bytes for piece in self.pieces)


class Seen(msgspec.Struct, frozen=True):
    """What a saved plan rests on: the source's rows that it takes, and the target's around its stretches.

    source, target: hashes over serials, starts and shifts. newest: serial of the target's newest row then.
    """

    source: str
    target: str
    newest: int


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a merge of one stream would do. Valid only for the target's generation it was made against, or as
    long as nothing changes of what was `seen`.

    duplicate_frames, conflicting_frames, deferred_frames: of the primary track. Conflicting ones count
    whether they are inserted now or were before. Deferred ones lie behind the target's live edge, or in a row
    that the source still writes; a later run takes them. settled: serials of source rows that the target
    holds whole once the stretches are in. missing: what is still missing in the target then; held: what it
    keeps then, but does not show, whoever brought it; conflicts: where earlier merges brought content other
    than the target's.
    """

    stream: str
    source: str
    target: str
    generation: int
    stretches: tuple[PlannedStretch, ...] = ()
    duplicate_frames: int = 0
    duplicate_others: int = 0
    conflicting_frames: int = 0
    deferred_frames: int = 0
    settled: tuple[int, ...] = ()
    missing: tuple[Span, ...] = ()
    held: tuple[Span, ...] = ()
    conflicts: tuple[Span, ...] = ()
    clock_offset_ns: int = 0
    seen: Seen | None = None


def joined(spans: Iterable[Span], reach_ns: int = 1_000_000) -> tuple[Span, ...]:
    """Spans by time; those that overlap, or are at most reach_ns apart, become one."""
    result: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.from_ns, span.to_ns)):
        if result and span.from_ns <= result[-1].to_ns + reach_ns:
            result[-1] = Span(result[-1].from_ns, max(result[-1].to_ns, span.to_ns))
        else:
            result.append(span)
    return tuple(result)


def without(spans: Iterable[Span], others: Iterable[Span], least_ns: int) -> tuple[Span, ...]:
    """What of spans lies in none of the others; pieces shorter than least_ns are left out."""
    cuts = joined(others, 0)
    found: list[Span] = []
    for span in spans:
        from_ns = span.from_ns
        for cut in cuts:
            if from_ns < cut.to_ns and cut.from_ns < span.to_ns:
                found.append(Span(from_ns, cut.from_ns))
                from_ns = cut.to_ns
        found.append(Span(from_ns, span.to_ns))
    return tuple(span for span in found if span.to_ns - span.from_ns >= least_ns)
