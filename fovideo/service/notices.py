"""What people and programs are told of a site's life: a notice for each event that means something. Pure."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, get_args

import msgspec

from fovideo.camera import CameraState
from fovideo.record import FramesLost, StateChanged, StoreFailed, StoreRecovered
from fovideo.service.events import (
    Event,
    HandedBack,
    HookFailed,
    Merged,
    MergeFailed,
    Outage,
    RoleReturned,
    RoleTaken,
    TakenOver,
    Uncovered,
)
from fovideo.service.reload import Reloaded, ReloadRefused
from fovideo.site import EventName
from fovideo.times import NS_PER_S, format_duration, format_ns

_UP = CameraState.LIVE
_NOT_DOWN = (CameraState.CONNECTING, CameraState.STOPPED, CameraState.ENDED)


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """event: its name, one of EVENTS. level: of `logging`. text: one line. fields: the same for programs."""

    event: str
    level: int
    text: str
    fields: dict[str, Any] = {}

    @property
    def severity(self) -> str:
        """ "info", "warning" or "error"."""
        return logging.getLevelName(self.level).lower()


EVENTS: tuple[str, ...] = get_args(EventName)


class Noticing:
    """Turns events into notices; knows which cameras are down, so that each fall and rise is said once."""

    def __init__(self) -> None:
        self._down: set[str] = set()

    def notice(self, event: Event) -> Notice | None:
        """None for what concerns nobody outside."""
        if isinstance(event, StateChanged):
            return self._camera(event)
        return _notice(event)

    def _camera(self, event: StateChanged) -> Notice | None:
        camera = {"camera": event.camera, "state": str(event.state)}
        if event.state is _UP:
            if event.camera not in self._down:
                return None
            self._down.discard(event.camera)
            return _info("camera-up", f"camera {event.camera} delivers again", **camera)
        if event.state in _NOT_DOWN or event.camera in self._down:
            return None
        self._down.add(event.camera)
        reason = event.error or str(event.state)
        return _warning("camera-down", f"camera {event.camera} is down: {reason}", **camera, error=reason)


def _notice(event: Event) -> Notice | None:
    match event:
        case TakenOver(server, cameras, lease, attached):
            text = f"taking over {_list(cameras)} of {server}"
            if attached:
                text += f"; not covered: {_list(attached)}"
            fields = {"server": server, "cameras": cameras, "lease": lease, "attached": attached}
            return _warning("takeover", text, **fields)
        case HandedBack(server, cameras, incomplete, lease, over, streams):
            frames = sum(stream.inserted_frames for stream in streams)
            fields = {"server": server, "cameras": cameras, "incomplete": incomplete, "lease": lease}
            fields |= {"over": over, "inserted_frames": frames}
            text = f"handed back {_list(cameras)} of {server}"
            if incomplete:
                return _error("hand-back", f"{text}; not all of {_list(incomplete)}", **fields)
            return _info("hand-back", text, **fields)
        case RoleTaken(role, server, lease):
            text = f"standing in for the {role} server {server}"
            return _warning("takeover", text, server=server, cameras=(), lease=lease, role=role)
        case RoleReturned(role, server, lease):
            text = f"no longer standing in for the {role} server {server}"
            return _info("hand-back", text, server=server, cameras=(), lease=lease, role=role)
        case HookFailed(word, server, command, error):
            fields = {"server": server, "command": command, "error": error, "at": word}
            return _error("hook-failed", f"hook {command} at the {word} of {server}: {error}", **fields)
        case Merged(server, lease, streams):
            frames = sum(stream.inserted_frames for stream in streams)
            if not frames:
                return None
            fields = {"server": server, "lease": lease, "inserted_frames": frames}
            return _info(
                "merge-done",
                f"merged {frames} frames into {server}",
                **fields,
                streams={stream.name: stream.inserted_frames for stream in streams},
            )
        case Uncovered(server, cameras):
            if not cameras:
                return _info("uncovered", f"all cameras of {server} are covered again", server=server)
            text = f"nobody records {_list(cameras)} of {server}: no spare has room"
            return _error("uncovered", text, server=server, cameras=cameras)
        case MergeFailed(server, lease, error):
            text = f"a merge into {server} failed: {error}"
            return _warning("merge-failed", text, server=server, lease=lease, error=error)
        case Outage():
            return _outage(event)
        case FramesLost(camera, loss):
            span = {"from": format_ns(loss.start_ns), "to": format_ns(loss.end_ns)}
            fields = {"camera": camera, "frames": loss.frames, "reason": loss.reason, **span}
            return _error("loss", f"camera {camera}: {loss.frames} frames lost: {loss.reason}", **fields)
        case StoreFailed(error):
            return _error("store-failed", f"the store takes nothing: {error}", error=error)
        case StoreRecovered(failed_ns):
            seconds = failed_ns / NS_PER_S
            return _info("store-recovered", f"the store works again after {seconds:.1f} s", failed_s=seconds)
        case Reloaded(added, removed, changed, servers):
            fields = {"added": added, "removed": removed, "changed": changed, "servers": servers}
            return _info("reloaded", f"reloaded: {event}", **fields)
        case ReloadRefused(error):
            return _error("reload-refused", f"not reloaded: {error}", error=error)
    return None


def _outage(event: Outage) -> Notice:
    gaps = {
        camera: [
            {"from": format_ns(gap.start_ns), "to": format_ns(gap.end_ns), "reason": gap.reason}
            for gap in found
        ]
        for camera, found in event.missing.items()
    }
    fields = {"server": event.server, "lease": event.lease, "missing": gaps, "error": event.error}
    if event.error:
        return _error("outage", f"what {event.server} still lacks is not known: {event.error}", **fields)
    if not event.missing:
        return _info("outage", f"{event.server}: nothing of the outage is missing", **fields)
    parts = [f"{camera} {format_duration(event.missing_ns(camera))}" for camera in event.missing]
    return _error("outage", f"{event.server}: no machine received all: missing {', '.join(parts)}", **fields)


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "nothing"


def _info(event: str, text: str, **fields: Any) -> Notice:
    return Notice(event=event, level=logging.INFO, text=text, fields=fields)


def _warning(event: str, text: str, **fields: Any) -> Notice:
    return Notice(event=event, level=logging.WARNING, text=text, fields=fields)


def _error(event: str, text: str, **fields: Any) -> Notice:
    return Notice(event=event, level=logging.ERROR, text=text, fields=fields)
