"""Pulls: what a running server merges into its own store because it was told to, one after the other.

An order is noted in the store's index before it is answered, so it outlives a kill: the server takes it up
again at its next start, and what was inserted before is not copied again. What became of the last ones is
kept there, too.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from typing import Any, NamedTuple

import msgspec

from fovideo.decoding import from_json
from fovideo.errors import FovideoError, NothingThere, UsageError
from fovideo.merge import MergeControl, MergeIncomplete, MergeReport, Pace, merge
from fovideo.merge.doing.pace import retry_after_ns
from fovideo.merge.doing.running import MergeResult, MergeStatus, RunningMerge
from fovideo.peer import Credentials, Pull, RemoteStore
from fovideo.peer.connection import check_url
from fovideo.service.pulled import Pulled
from fovideo.service.security import credentials_for
from fovideo.site import Place, Site
from fovideo.store import Store
from fovideo.times import NS_PER_S

_log = logging.getLogger(__name__)

_NOTE = "pulls"
_CLOSE_S = 10.0
_TAKEN_UP_NS = 600 * NS_PER_S  # after a power cut, the source may come up later than this server


class _Noted(Pull, frozen=True, kw_only=True):
    """An order as it lies in the index. cancelled: it was ended, but nobody has told yet what it did."""

    ordered_ns: int = 0
    paused: bool = False
    cancelled: bool = False


class Source(NamedTuple):
    """Where footage is pulled from, and what is shown there."""

    name: str
    url: str
    credentials: Credentials


def _fields(pull: Pull) -> dict[str, Any]:
    return {name: getattr(pull, name) for name in Pull.__struct_fields__}


def source_of(site: Site, own: Place, wanted: str) -> Source:
    """A machine of the site by its name or URL gets its token; a stranger sees the certificate only."""
    for machine in (*site.servers, *site.spares):
        url = site.reached_at(machine)
        if wanted == machine.name and not url:
            raise UsageError("nothing tells where to reach it", where=wanted, hint="add url to site.toml")
        if url and (wanted == machine.name or _same(wanted, url)):
            if machine.name == own.name:
                raise UsageError("it cannot merge itself into itself", where=own.name)
            return Source(machine.name, url, credentials_for(site, own, machine))
    known = ", ".join(each.name for each in (*site.spares, *site.servers) if each.name != own.name)
    if "://" not in wanted:
        raise UsageError(f"no machine named {wanted!r}", where=site.name, hint=f"there are: {known}")
    shown = msgspec.structs.replace(credentials_for(site, own, own), token="")
    return Source(wanted, check_url(wanted), shown)


def _same(one: str, other: str) -> bool:
    return one.rstrip("/") == other.rstrip("/")


class _Entry:
    def __init__(self, pull: Pull, running: RunningMerge, patience_ns: int) -> None:
        self.pull, self.running, self.patience_ns = pull, running, patience_ns
        self.cancelled = False
        self.unfinished: MergeReport | None = None  # what is in, when an error ends it


class Pulls:
    """Of one server. find: from the name or URL of a source to the source; asked when a pull begins.

    told: hears of each that ended, with its report or why there is none. Thread-safe.
    """

    def __init__(
        self,
        name: str,
        store: Store,
        find: Callable[[str], Source],
        *,
        told: Callable[[MergeReport | None, str], None] = lambda report, error: None,
        wall_clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._name, self._store, self._find = name, store, find
        self._told, self._wall_clock = told, wall_clock
        self._changed = threading.Condition()
        self._entries: dict[str, _Entry] = {}  # those that have not ended
        self._pulled = Pulled(store)
        self._waiting: deque[_Entry] = deque()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def take_up(self) -> None:
        """Go on with what a former process had not finished."""
        noted = self._store.journal(_NOTE)
        if noted is None:
            return
        try:
            pulls = from_json(noted, list[_Noted])
        except msgspec.MsgspecError as error:
            _log.error("%s: what was to be merged into it cannot be read: %s", self._name, error)
            return
        for pull in pulls:
            if self._pulled.find(pull.id) is not None:  # it died between the two notes
                continue
            with self._changed:
                entry = self._add(Pull(**_fields(pull)), pull.ordered_ns, _TAKEN_UP_NS)
                if pull.cancelled:
                    self._waiting.remove(entry)
                    self._end(entry, None, stopped=True)
                    continue
                _log.warning("%s: goes on merging what %s holds", self._name, pull.source)
                if pull.paused:
                    entry.running.control.pause()

    def order(self, pull: Pull) -> MergeStatus:
        """Begin it, unless the same one runs already; returns how far it is. UsageError."""
        self._find(pull.source)
        with self._changed:
            if self._closing.is_set():
                raise UsageError("it is being stopped", where=self._name, hint="order it again later")
            ended = self._pulled.find(pull.id)
            if ended is not None:
                return ended.status
            known = self._entries.get(pull.id) or self._same_as(pull)
            if known is None:
                known = self._add(pull, self._wall_clock())
                try:
                    self._note()
                except FovideoError:
                    self._waiting.remove(known)
                    del self._entries[pull.id]
                    raise
                self._changed.notify_all()
            return known.running.status()

    def pause(self, id: str, paused: bool) -> MergeStatus:
        """Hold one back, or let it go on; also over a restart."""
        entry = self._entry(id)
        _log.warning("%s: merge %s is %s", self._name, id, "paused" if paused else "resumed")
        with self._changed:
            if paused:
                entry.running.control.pause()
            else:
                entry.running.control.resume()
            self._note()
        return entry.running.status()

    def cancel(self, id: str) -> MergeStatus:
        """End one: what it inserted stays, is verified and reported."""
        entry = self._entry(id)
        _log.warning("%s: merge %s is ended", self._name, id)
        with self._changed:
            entry.cancelled = True
            self._note()
        entry.running.control.cancel()
        return entry.running.status()

    def running(self) -> tuple[MergeStatus, ...]:
        """Those that have not ended."""
        with self._changed:
            return tuple(entry.running.status() for entry in self._entries.values())

    def ended(self) -> tuple[MergeStatus, ...]:
        """The last ones that have, also before the last restart; the oldest first."""
        with self._changed:
            return self._pulled.statuses()

    def result(self, id: str) -> MergeResult:
        """How far one is, and its report when it has ended. NothingThere if it is not known (any more)."""
        with self._changed:
            ended = self._pulled.find(id)
        return ended or MergeResult(status=self._entry(id).running.status())

    def close(self) -> None:
        """Stop between two insertions; the next start goes on. May be called twice."""
        with self._changed:
            self._closing.set()
            for entry in self._entries.values():
                entry.running.control.cancel()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(_CLOSE_S)
            if self._thread.is_alive():
                _log.warning("%s: left a merge whose source does not answer", self._name)

    def _entry(self, id: str) -> _Entry:
        with self._changed:
            entry = self._entries.get(id)
        if entry is None:
            known = ", ".join(status.id for status in self.running()) or "none"
            raise NothingThere(f"no merge {id!r}", where=self._name, hint=f"running: {known}")
        return entry

    def _same_as(self, pull: Pull) -> _Entry | None:
        for entry in self._entries.values():
            same = msgspec.structs.replace(entry.pull, id=pull.id) == pull
            if same and not entry.cancelled:
                return entry
        return None

    def _add(self, pull: Pull, ordered_ns: int, patience_ns: int = 0) -> _Entry:
        running = RunningMerge(
            pull.id,
            pull.source,
            self._name,
            MergeControl(),
            streams=len(pull.streams or ()),
            ordered_ns=ordered_ns,
        )
        entry = _Entry(pull, running, max(pull.patience_ns, patience_ns))
        self._entries[pull.id] = entry
        self._waiting.append(entry)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="pulls", daemon=True)
            self._thread.start()
        return entry

    def _note(self) -> None:
        """Write down what is still to be done; the lock is held."""
        left = [
            _Noted(
                **_fields(each.pull),
                ordered_ns=each.running.ordered_ns,
                paused=each.running.control.paused,
                cancelled=each.cancelled,
            )
            for each in self._entries.values()
        ]
        self._store.note(_NOTE, msgspec.json.encode(left) if left else None)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing.is_set() or self._waiting)
                if self._closing.is_set():
                    return
                entry = self._waiting.popleft()
            report, error = None, ""
            try:
                report = self._pull(entry)
            except FovideoError as failed:
                report = failed.report if isinstance(failed, MergeIncomplete) else entry.unfinished
                error = str(failed)
                _log.error("%s: merging what %s holds failed: %s", self._name, entry.pull.source, error)
            except Exception:
                error = "it ended unexpectedly"
                _log.exception("%s: a merge ended unexpectedly", self._name)
            stopped = report is not None and report.stopped
            with self._changed:
                if self._closing.is_set() and (report is None or stopped) and not entry.cancelled:
                    return  # its note stays
                self._end(entry, report, stopped=stopped, error=error)
            self._told(report, error)

    def _end(self, entry: _Entry, report: MergeReport | None, *, stopped: bool, error: str = "") -> None:
        """Write down what became of it; the lock is held."""
        entry.running.ended(self._wall_clock(), stopped=stopped, error=error)
        del self._entries[entry.pull.id]
        with contextlib.suppress(FovideoError):  # else the next start finds nothing left to do
            self._pulled.add(MergeResult(status=entry.running.status(), report=report))
            self._note()

    def _pull(self, entry: _Entry) -> MergeReport:
        def unfinished(report: MergeReport) -> None:
            entry.unfinished = report

        pull, running = entry.pull, entry.running
        source = self._find(pull.source)
        running.begun(self._wall_clock())
        with closing(RemoteStore(source.url, credentials=source.credentials)) as timeline:
            self._await(timeline, entry.patience_ns, running)
            running.source_id = timeline.identity
            return merge(
                timeline,
                self._store,
                streams=pull.streams,
                from_ns=pull.from_ns,
                to_ns=pull.to_ns,
                order=pull.order,
                first=pull.first,
                pace=Pace(rate_bytes=pull.rate_bytes, brake_ns=pull.brake_ns),
                control=running.control,
                patience_ns=entry.patience_ns,
                progress=running.progress,
                on_failure=unfinished,
                wall_clock=self._wall_clock,
            )

    def _await(self, timeline: RemoteStore, patience_ns: int, running: RunningMerge) -> None:
        """Until the source answers."""
        tries, until_ns = 0, time.monotonic_ns() + patience_ns
        while True:
            try:
                timeline.streams()
            except FovideoError as error:
                pause_ns = retry_after_ns(tries)
                if not error.passing or time.monotonic_ns() + pause_ns > until_ns:
                    raise
                if not running.control.wait(pause_ns):
                    return
                tries += 1
            else:
                return
