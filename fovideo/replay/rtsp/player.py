"""Player: sends a feed to the outlets of one session, in time; a slow client holds nothing up."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import NamedTuple

from fovideo.errors import FovideoError
from fovideo.media.codec import VIDEO_TRACK
from fovideo.replay.rtsp.outlet import Outlet
from fovideo.replay.rtsp.settings import Counters, Settings
from fovideo.replay.source import Feed, Unit
from fovideo.times import NS_PER_S

log = logging.getLogger(__name__)

_DRAIN_BYTES = 64 * 1024


class Pace(NamedTuple):
    """live: units come when due. speed: of recorded ones, None = as fast as the client takes them."""

    live: bool
    speed: Fraction | None


class Player:
    """One playback of a feed, until it ends, the session stops it or the client can't be reached."""

    def __init__(
        self,
        feed: Feed,
        outlets: Mapping[int, Outlet],
        pace: Pace,
        settings: Settings,
        counters: Counters,
        on_stall: Callable[[], None],
    ) -> None:
        self._feed, self._outlets, self._pace = feed, outlets, pace
        self._settings, self._counters, self._on_stall = settings, counters, on_stall
        self._skipping = False
        self._stalled_since: float | None = None
        self._running = asyncio.Event()
        self._running.set()
        self._origin: tuple[int, float] | None = None  # (due_ns, monotonic s): a unit that was sent in time
        self.start_ns, self.start_media_ns = feed.start_ns, feed.start_media_ns

    def pause(self) -> None:
        """Hold before the next unit."""
        self._running.clear()

    def resume(self, pace: Pace) -> None:
        """Go on with the unit that was held, in real time from here."""
        self._pace, self._origin = pace, None
        self._running.set()

    async def run(self) -> None:
        """Play to the end and say goodbye. Cancelling stops at once, without a goodbye."""
        try:
            while (unit := await self._feed.next()) is not None:
                outlet = self._outlets.get(unit.track)
                if outlet is None:
                    continue
                if not self._pace.live:
                    await self._wait(unit, outlet)
                elif not self._has_room(unit, outlet):
                    self._counters.dropped_units += 1
                    continue
                self.start_ns, self.start_media_ns = unit.time_ns, unit.media_ns
                packets = outlet.packets_of(unit)
                self._counters.units += 1
                self._counters.packets += len(packets)
                await outlet.link.rtp(packets)
                self._report(outlet)
        except FovideoError as error:
            log.warning("playback ended: %s", error)
        except Exception:
            log.exception("playback failed")
        finally:
            await self._feed.close()
        for outlet in self._outlets.values():
            outlet.goodbye()

    async def _wait(self, unit: Unit, outlet: Outlet) -> None:
        """Until a recorded unit is due and the client has taken most of what went before."""
        if not self._running.is_set():
            self.start_ns, self.start_media_ns = unit.time_ns, unit.media_ns
            await self._running.wait()
        if self._pace.speed is None:
            await asyncio.sleep(0)
        else:
            now = time.monotonic()
            due_ns, began = self._origin = self._origin or (unit.due_ns, now)
            early_s = float((unit.due_ns - due_ns) / (NS_PER_S * self._pace.speed)) - (now - began)
            if early_s > 0:
                await asyncio.sleep(early_s)
                await self._running.wait()
        if outlet.link.backlog_bytes > _DRAIN_BYTES:
            try:
                await asyncio.wait_for(outlet.link.drain(), self._settings.stall_s)
            except TimeoutError:
                self._stalled()
            except ConnectionError:
                pass  # the connection's own task ends the session

    def _has_room(self, unit: Unit, outlet: Outlet) -> bool:
        """Whether to send a live unit; else it is dropped, and with it video up to the next keyframe."""
        now = time.monotonic()
        if outlet.link.backlog_bytes > self._settings.backlog_bytes:
            self._skipping = True
            self._stalled_since = self._stalled_since or now
            if now - self._stalled_since > self._settings.stall_s:
                self._stalled()
            return False
        self._stalled_since = None
        if unit.track != VIDEO_TRACK:
            return True
        self._skipping = self._skipping and not unit.key
        return not self._skipping

    def _stalled(self) -> None:
        self._counters.stalled_clients += 1
        self._on_stall()

    def _report(self, outlet: Outlet) -> None:
        first_s, every_s = self._settings.first_sender_report_s, self._settings.sender_report_s
        if first_s is None:
            return
        now = time.monotonic_ns()
        if outlet.report_due_ns is None:
            outlet.report_due_ns = now + int(first_s * NS_PER_S)
        if now >= outlet.report_due_ns or (outlet.has_jumped and not self._pace.live):
            outlet.report(self._feed.clock())
            outlet.report_due_ns = now + int(every_s * NS_PER_S)
