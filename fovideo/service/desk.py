"""One server's place at a spare: its watch, and the hands that carry out what the watch orders."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable

import msgspec

from fovideo.camera import CameraState
from fovideo.errors import ConfigError
from fovideo.failover import Claim, HandBack, Holding, Ordered, PassOutcome, Portion, Settings, Standing
from fovideo.merge import MergeControl, Order, Pace
from fovideo.merge.doing.running import MergeStatus, RunningMerge
from fovideo.peer import Probe, RemoteStore, WatchedServer
from fovideo.record import Mode, Recorder
from fovideo.service.describe import clock_name
from fovideo.service.events import Event, HandedBack, Merged, MergeFailed, TakenOver
from fovideo.service.ledger import Ledger
from fovideo.service.mending import Manner, mend
from fovideo.service.outsider import Outsider
from fovideo.service.security import credentials_for
from fovideo.service.settings import camera_config, failover_settings
from fovideo.service.settling import Settling
from fovideo.service.sight import Sight
from fovideo.service.watch import Watch, decode_standing
from fovideo.site import Server, Site
from fovideo.site import Spare as SpareEntry
from fovideo.store import Store
from fovideo.timeline.endpoint import Timeline

_log = logging.getLogger(__name__)

FLUSH_S = 15.0
_CLOSE_S = 10.0
_NOTHING = Holding(number=0)


class Desk:
    """Made when the spare's store is open; nothing happens before `watch.start`, nothing after `close`."""

    def __init__(
        self,
        site: Site,
        spare: SpareEntry,
        server: Server,
        store: Store,
        recorder: Recorder,
        waiting: set[str],
        emit: Callable[[Event], None],
        *,
        settling: Settling | None = None,
        settings: Settings | None = None,
        witness_ns: Callable[[], int | None] = lambda: None,
    ) -> None:
        """settling: with other spares; settings: that go with it. witness_ns: see Hands."""
        self._server, self._store, self._recorder, self._emit = server, store, recorder, emit
        self._name, self._url = spare.name, site.reached_at(server)
        self._credentials = credentials_for(site, spare, server)
        self._cameras = {camera.name for camera in site.cameras_of(server.name)}
        self._cold = {c.name: c for c in site.cameras_of(server.name) if c.standby == "cold"}
        self._settling, self._witness_ns = settling, witness_ns
        self._told: set[str] = set()
        self._ledger = Ledger()
        self._key, self._paused_key = f"failover/{server.name}", f"failover/{server.name}/paused"
        self._control = MergeControl()
        if store.journal(self._paused_key) is not None:
            self._control.pause()
        self._closed = False
        self._running: RunningMerge | None = None
        self._order = Order(spare.merge_order)
        self._pace = Pace(rate_bytes=spare.merge_rate_bytes)
        detection = server.detection
        self._probe: Probe | Outsider
        if server.watch:
            self._probe = Outsider(server.name, server.watch, self._cameras, timeout_ns=detection.timeout_ns)
            if server.merge_into:
                into = site.server(server.merge_into)
                self._url, self._credentials = site.reached_at(into), credentials_for(site, spare, into)
            else:
                waiting = set()  # there is nowhere to merge it: it stays
        elif not self._url:
            raise ConfigError(
                "nothing tells where to reach it", where=f"server {server.name}", hint="add url"
            )
        else:
            self._probe = Probe(self._url, credentials=self._credentials, timeout_ns=detection.timeout_ns)
        self._sight = Sight(self._url, self._credentials, store) if self._url else None
        standing = decode_standing(store.journal(self._key))
        leases = [
            provenance.lease
            for stream in waiting & self._cameras
            for provenance in store.provenances(stream).values()
        ]
        self.watch = Watch(
            server.name,
            sorted(self._cameras),
            ask=self._probe.ask,
            hands=self,
            settings=settings or failover_settings(detection),
            poll_ns=detection.poll_ns,
            standing=standing,
            unmerged=sorted(waiting & self._cameras),
            lease=max(leases, default=0),
        )

    def close(self) -> None:
        """End watching and merging."""
        self._closed = True
        self._control.cancel()
        self.watch.stop()
        self._probe.close()
        if self._sight is not None:
            self._sight.close()
        if not self.watch.join_merge(_CLOSE_S):
            # It waits for a server that hangs. What it inserted there is found by the next merge.
            _log.warning("%s: left a merge pass that does not end", self._server.name)

    def status(self) -> WatchedServer:
        name, watch = self._server.name, self.watch
        arbiter = None if self._settling is None else self._settling.arbiter
        found = self._ledger.status(
            watch.memory,
            watch.answered_wall_ns,
            watch.silence,
            holding=_NOTHING if arbiter is None else arbiter.holding(name),
            left=() if arbiter is None else arbiter.left(name),
            suspicion=watch.suspicion,
        )
        return msgspec.structs.replace(found, paused=self._control.paused)

    def pause(self, paused: bool) -> None:
        """Hold insertions back, also those of passes to come and over a restart, or let them go on. What is
        being inserted is finished.
        """
        _log.warning("%s: merging is %s", self._server.name, "paused" if paused else "resumed")
        if paused:
            self._control.pause()
        else:
            self._control.resume()
        self._store.note(self._paused_key, b"paused" if paused else None)

    def cancel_merge(self) -> None:
        """End the pass that runs: what it inserted stays and is settled. The next waits to be resumed."""
        _log.warning("%s: merging is ended until it is resumed", self._server.name)
        ended, self._control = self._control, MergeControl()
        self._control.pause()
        ended.cancel()
        if self._closed:
            self._control.cancel()
        self._store.note(self._paused_key, b"paused")

    def merging(self) -> MergeStatus | None:
        """The pass that runs, or that it is held back; None between passes."""
        running, control = self._running, self._control
        if running is None and control.paused:
            running = RunningMerge(self._server.name, self._name, self._server.name, control)
        return None if running is None else running.status()

    @property
    def cameras(self) -> set[str]:
        """Names of the server's cameras."""
        return self._cameras

    def seen(self) -> Timeline:
        """What clients see: what server and spare hold, or the spare alone while the server is silent."""
        if self._sight is None:
            return self._store
        return self._sight.timeline(server_answers=not self.watch.silence)

    def order(self, *, stand_in: bool) -> None:
        """Somebody orders it to stand in, or to hand back."""
        _log.warning("%s: ordered to %s", self._server.name, "stand in" if stand_in else "hand back")
        self.watch.tell(Ordered(time.monotonic_ns(), stand_in))

    # Hands

    def heard(self) -> dict[str, str]:
        return {
            name: clock_name(status.clock)
            for name, status in self._recorder.status().items()
            if name in self._cameras and status.state is CameraState.LIVE
        }

    def take_over(self, cameras: tuple[str, ...], lease: int) -> None:
        self._ledger.taken_over(time.time_ns(), lease)
        present = self._recorder.status()
        for name in cameras:
            if name in self._cold and name not in present:
                config = camera_config(self._cold[name])
                self._recorder.add(config, mode=Mode.RECORD, lease=lease, pending=True)
            elif name in self._cameras:
                self._recorder.set_mode(name, Mode.RECORD, lease=lease, pending=True)
        fresh = tuple(name for name in cameras if name not in self._told)
        if lease and fresh:
            self._told.update(fresh)
            self._emit(TakenOver(self._server.name, fresh, lease, self._server.attached))
        elif lease:
            _log.info("%s: goes on with %s (lease %d)", self._server.name, ", ".join(cameras), lease)

    def stand_down(self, cameras: tuple[str, ...]) -> None:
        present = self._recorder.status()
        for name in cameras:
            if name in self._cameras and name in present:
                self._recorder.set_mode(name, Mode.STANDBY)

    def hand_back(self, order: HandBack) -> None:
        self._ledger.handed_back(time.time_ns(), over=order.over)
        cold = [name for name in order.cameras if name in self._cold]
        if cold:
            threading.Thread(target=self._disconnect, args=(cold,), name="disconnect", daemon=True).start()
        told = tuple(name for name in order.cameras if name in self._told)
        self._told.difference_update(told)
        if not told:  # it was never announced
            if order.incomplete:
                lacking = ", ".join(order.incomplete)
                _log.error("%s: not all of %s could be brought back", self._server.name, lacking)
            return
        for report in self._ledger.reports:
            _log.info(
                "%s: %s: %d frames brought back", self._server.name, report.name, report.inserted_frames
            )
        self._emit(
            HandedBack(
                self._server.name,
                told,
                order.incomplete,
                order.lease,
                order.over,
                self._ledger.reports,
            )
        )

    def claim(self, order: Claim, known: int) -> None:
        if self._settling is not None:
            self._settling.claim(self._server.name, order, known)

    def witness_ns(self) -> int | None:
        return self._witness_ns()

    def _disconnect(self, cameras: list[str]) -> None:
        """Cold cameras are handed back: their sessions end, unless they are taken again meanwhile."""
        for name in cameras:
            status = self._recorder.status().get(name)
            if status is not None and status.mode is Mode.STANDBY and not self._control.cancelled:
                self._recorder.remove(name, FLUSH_S)

    def remember(self, standing: Standing) -> None:
        self._store.note(self._key, msgspec.json.encode(standing))

    def merge(self, portions: tuple[Portion, ...], lease: int) -> tuple[dict[str, PassOutcome], str]:
        server = self._server.name
        if not self._url:
            return {portion.stream: PassOutcome() for portion in portions}, ""
        if not self._recorder.flush(FLUSH_S):
            # Frames that are not on disk here could not be merged, and would be taken for merged.
            error = "this spare's own store takes nothing"
            self._failed(lease, error)
            return {}, error
        control = self._control
        running = RunningMerge(server, self._name, server, control, streams=len(portions))
        manner = Manner(self._order, self._pace, control, running.progress)
        running.begun(time.time_ns())
        self._running = running
        try:
            with contextlib.closing(RemoteStore(self._url, credentials=self._credentials)) as target:
                mended = mend(self._store, target, portions, lease=lease, manner=manner)
        finally:
            self._running = None
        self._ledger.merged(mended.reports, mended.error)
        if mended.reports:
            self._emit(Merged(server, lease, tuple(mended.reports)))
        if mended.error:
            self._emit(MergeFailed(server, lease, mended.error))
        return mended.outcomes, mended.error

    def _failed(self, lease: int, error: str) -> None:
        self._ledger.merged([], error)
        self._emit(MergeFailed(self._server.name, lease, error))
