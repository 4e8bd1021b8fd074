"""Union: several timelines seen as one, as if the merge between them were done already. Reads only.

Its rows are those of the first timeline, and what a merge of each other one into it would insert: the same
plan, so the same frames count as the same. Nothing is written anywhere, and nothing is copied but the few
rows at a seam, of which only some frames belong in.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

import msgspec

from fovideo.errors import FovideoError, NoSuchStream, NothingThere, PeerError, UsageError
from fovideo.media.codec import Track
from fovideo.merge.manifest import Manifest, load_manifest
from fovideo.merge.planning.plan import WINDOW_NS, plan
from fovideo.merge.seam import Entries, Entry, rows_of
from fovideo.timeline.endpoint import FileRange, Inserted, Stretch, Timeline
from fovideo.timeline.values import Gop, Loss, Provenance, StreamInfo
from fovideo.times import NS_PER_S

T = TypeVar("T")

_log = logging.getLogger(__name__)

_PAD_NS = 60 * NS_PER_S  # beyond what is asked for: rows that reach into it, whoever holds them
_FRESH_NS = NS_PER_S // 2  # how long a view may be used again, so that listing page by page costs one plan
_AWAY_NS = 5 * NS_PER_S
_EVER_NS = 1 << 62


class _Away(Exception):
    """A timeline of a patient union stopped answering."""

    def __init__(self, number: int, error: PeerError) -> None:
        super().__init__(str(error))
        self.number, self.error = number, error


class _View(msgspec.Struct, frozen=True):
    """The rows of a stream that meet [from_ns, to_ns)."""

    made_ns: int
    from_ns: int
    to_ns: int
    rows: tuple[Gop, ...]


class Union:
    """A Timeline of which every frame of the given ones is part, once. Thread-safe; it owns them.

    timelines: the first is the one into which the others would be merged; its own frames win.
    patient: one that does not answer is left out, and asked again some seconds later; at least one must.
    Raises what the timelines raise; UsageError for insert and settle.
    """

    def __init__(
        self,
        timelines: Sequence[Timeline],
        *,
        patient: bool = False,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        if not timelines:
            raise UsageError("a union of no timelines")
        self._members, self._patient, self._now_ns = tuple(timelines), patient, monotonic_ns
        self._away_until: dict[int, int] = {}
        self._lock = threading.Lock()
        self._planning: dict[str, threading.Lock] = {}
        self._views: dict[str, _View] = {}
        self._known: tuple[int, list[tuple[int, set[str]]]] | None = None
        self._entries = Entries()

    @property
    def identity(self) -> str:
        """That of the first timeline that answers."""
        return next(iter(self._ask(lambda each: each.identity)))[1]

    @property
    def location(self) -> str:
        return "+".join(each.location for each in self._members)

    @property
    def missing(self) -> tuple[str, ...]:
        """Locations of those that did not answer when they were asked last."""
        now_ns = self._now_ns()
        away = [number for number, until_ns in self._away_until.items() if until_ns > now_ns]
        return tuple(self._members[number].location for number in sorted(away))

    def streams(self) -> list[StreamInfo]:
        """All streams, by name. frames, size_bytes: of all timelines; what several hold counts for each."""
        found: dict[str, list[StreamInfo]] = {}
        for _, infos in self._ask(_streams):
            for info in infos:
                found.setdefault(info.name, []).append(info)
        return [_joined(found[name]) for name in sorted(found)]

    def gops(self, stream: str, from_ns: int | None = None, to_ns: int | None = None) -> list[Gop]:
        """As Timeline.gops."""
        begin_ns = -_EVER_NS if from_ns is None else from_ns
        end_ns = _EVER_NS if to_ns is None else to_ns
        view = self._view(stream, begin_ns, end_ns)
        return [row for row in view.rows if row.end_ns > begin_ns and row.start_ns < end_ns]

    def provenances(self, stream: str) -> dict[int, Provenance]:
        """As Timeline.provenances; what is not merged yet has inserted_from, but no inserted_ns.

        Cheapest after the rows were listed.
        """
        if stream not in self._views:
            self._view(stream, -_EVER_NS, _EVER_NS)

        def ask() -> dict[int, Provenance]:
            number, timeline = self._holders(stream)[0]
            with self._blaming(number):
                return timeline.provenances(stream)

        return self._without_those_away(ask) | self._entries.provenances(stream)

    def tracks(self, stream: str, gop: Gop) -> tuple[Track, ...]:
        if (entry := self._entry(stream, gop)) is not None:
            return entry.tracks
        return self._first(stream).tracks(stream, gop)

    def read(self, stream: str, gop: Gop) -> bytes | FileRange:
        """As Timeline.read. What was merged since it was listed is read where it was."""
        if (entry := self._entry(stream, gop)) is not None:
            return entry.read()
        return self._first(stream).read(stream, gop)

    def find(self, stream: str, serial: int) -> Gop | None:
        """A row that was listed before; None if it is not known any more, or of the first timeline."""
        entry = self._entries.get(stream, serial)
        return None if entry is None else entry.row

    def losses(self, stream: str, from_ns: int | None = None, to_ns: int | None = None) -> list[Loss]:
        """What each recorder lost; what another one has of it is no gap."""

        def ask() -> list[Loss]:
            found: list[Loss] = []
            for number, timeline in self._holders(stream):
                with self._blaming(number):
                    found += timeline.losses(stream, from_ns, to_ns)
            return found

        return sorted(self._without_those_away(ask), key=lambda loss: (loss.start_ns, loss.end_ns))

    def insert(self, stretch: Stretch) -> Inserted:
        raise UsageError("a union cannot be written to", where=self.location, hint="merge into one of them")

    def settle(self, stream: str, gops: Iterable[int]) -> None:
        raise UsageError("a union cannot be written to", where=self.location, hint="merge into one of them")

    def close(self) -> None:
        for each in self._members:
            each.close()

    # Members

    def _ask(self, question: Callable[[Timeline], T]) -> Iterator[tuple[int, T]]:
        """The answers of those who answer; raises when nobody does."""
        failure: FovideoError | None = None
        answered = False
        for number, timeline in enumerate(self._members):
            if self._away_until.get(number, 0) > self._now_ns():
                continue
            try:
                answer = question(timeline)
            except PeerError as error:
                if not self._patient:
                    raise
                failure = error
                self._note_away(number, error)
                continue
            answered = True
            yield number, answer
        if not answered:
            raise failure or PeerError("none of the timelines answers", where=self.location)

    def _note_away(self, number: int, error: FovideoError) -> None:
        _log.info("%s is left out of the union for now: %s", self._members[number].location, error)
        self._away_until[number] = self._now_ns() + _AWAY_NS
        self._views.clear()  # what it has cannot be read

    def _without_those_away(self, ask: Callable[[], T]) -> T:
        """Ask again without whoever answered a moment ago and does not now: what the others have is still
        to be shown.
        """
        while True:
            try:
                return ask()
            except _Away as away:
                self._note_away(away.number, away.error)
                self._known = None

    def _holders(self, stream: str) -> list[tuple[int, Timeline]]:
        """Those who answer and have the stream, in order."""
        known, now_ns = self._known, self._now_ns()
        if known is None or now_ns - known[0] > _FRESH_NS:
            names = [(number, {info.name for info in infos}) for number, infos in self._ask(_streams)]
            known = self._known = (now_ns, names)
        found = [(number, self._members[number]) for number, names in known[1] if stream in names]
        if not found:
            raise NoSuchStream(f"no stream {stream!r}", where=self.location)
        return found

    def _first(self, stream: str) -> Timeline:
        return self._holders(stream)[0][1]

    # Rows

    def _view(self, stream: str, from_ns: int, to_ns: int) -> _View:
        with self._lock:
            planning = self._planning.setdefault(stream, threading.Lock())
        with planning:
            view, now_ns = self._views.get(stream), self._now_ns()
            if (
                view is None
                or now_ns - view.made_ns > _FRESH_NS
                or from_ns < view.from_ns
                or to_ns > view.to_ns
            ):
                view = self._views[stream] = _View(now_ns, from_ns, to_ns, self._rows(stream, from_ns, to_ns))
            return view

    def _rows(self, stream: str, from_ns: int, to_ns: int) -> tuple[Gop, ...]:
        return self._without_those_away(lambda: self._rows_of(self._holders(stream), stream, from_ns, to_ns))

    def _rows_of(
        self, holders: Sequence[tuple[int, Timeline]], stream: str, from_ns: int, to_ns: int
    ) -> tuple[Gop, ...]:
        reach = _bound(from_ns - _PAD_NS - WINDOW_NS), _bound(to_ns + _PAD_NS + WINDOW_NS)
        if len(holders) == 1:
            reach = _bound(from_ns), _bound(to_ns)
        held = self._load(*holders[0], stream, reach)
        for number, source in holders[1:]:
            manifest = self._load(number, source, stream, reach)
            made = plan(manifest, held, from_ns=_bound(from_ns - _PAD_NS), to_ns=_bound(to_ns + _PAD_NS))
            with self._blaming(number):
                new = rows_of(self._entries, number, source, manifest, made)
            rows = sorted((*held.rows, *new), key=lambda row: (row.start_ns, row.serial))
            provenances = dict(held.provenances) | self._entries.provenances(stream)
            held = replace(held, rows=tuple(rows), provenances=provenances, _tables={})
        return tuple(row for row in held.rows if row.end_ns > from_ns and row.start_ns < to_ns)

    def _load(
        self, number: int, timeline: Timeline, stream: str, reach: tuple[int | None, int | None]
    ) -> Manifest:
        with self._blaming(number):
            return load_manifest(timeline, stream, *reach)

    @contextmanager
    def _blaming(self, number: int) -> Iterator[None]:
        try:
            yield
        except PeerError as error:
            if not self._patient:
                raise
            raise _Away(number, error) from error

    def _entry(self, stream: str, gop: Gop) -> Entry | None:
        """How a row came into the union; None for those of the first timeline."""
        if not self._entries.is_ours(gop.serial):
            return None
        entry = self._entries.get(stream, gop.serial)
        if entry is None:
            raise NothingThere("the row is not known any more", where=stream, hint="list the rows anew")
        return entry


def _streams(timeline: Timeline) -> list[StreamInfo]:
    return timeline.streams()


def _bound(time_ns: int) -> int | None:
    return None if abs(time_ns) > _EVER_NS // 2 else time_ns


def _joined(infos: Sequence[StreamInfo]) -> StreamInfo:
    """One stream of several timelines; of the first that has a clock of its own for it."""
    return msgspec.structs.replace(
        infos[0],
        tracks=next((info.tracks for info in infos if info.tracks), ()),
        frames=sum(info.frames for info in infos),
        size_bytes=sum(info.size_bytes for info in infos),
        start_ns=min((info.start_ns for info in infos if info.frames), default=infos[0].start_ns),
        end_ns=max(info.end_ns for info in infos),
        live_edge_ns=max(info.live_edge_ns for info in infos),
        generation=sum(info.generation for info in infos),
    )
