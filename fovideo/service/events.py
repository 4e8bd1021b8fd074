"""What a spare reports as it happens, beside the events of its recorder."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from fovideo.merge import StreamReport
from fovideo.record import Event as RecorderEvent
from fovideo.service.reload import Reloaded, ReloadRefused
from fovideo.timeline import Gap


class TakenOver(msgspec.Struct, frozen=True, tag="taken-over"):
    """The spare records these cameras of a server from now on, beginning with its pre-roll.

    attached: devices on the server's machine for which nobody stands in.
    """

    server: str
    cameras: tuple[str, ...]
    lease: int
    attached: tuple[str, ...] = ()


class Merged(msgspec.Struct, frozen=True, tag="merged"):
    """A pass into the server ended; what it did by stream."""

    server: str
    lease: int
    streams: tuple[StreamReport, ...]


class MergeFailed(msgspec.Struct, frozen=True, tag="merge-failed"):
    """A pass could not be finished; it is tried again."""

    server: str
    lease: int
    error: str


class Uncovered(msgspec.Struct, frozen=True, tag="uncovered"):
    """Nobody records these cameras of a server: no spare has room. () = all are covered again."""

    server: str
    cameras: tuple[str, ...]


class HandedBack(msgspec.Struct, frozen=True, tag="handed-back"):
    """The cameras are the server's again. incomplete: those of which something could not be brought back.

    over: the server has all of its cameras again. streams: what this takeover brought back, in sum.
    """

    server: str
    cameras: tuple[str, ...]
    incomplete: tuple[str, ...]
    lease: int
    over: bool
    streams: tuple[StreamReport, ...]


class Outage(msgspec.Struct, frozen=True, tag="outage"):
    """A server has all its cameras again: what its timeline lacks since shortly before the takeover.

    missing: by camera, of those that lack something. error: why that could not be found out.
    """

    server: str
    lease: int
    missing: dict[str, tuple[Gap, ...]]
    error: str = ""

    def missing_ns(self, camera: str) -> int:
        return sum(gap.end_ns - gap.start_ns for gap in self.missing.get(camera, ()))


class RoleTaken(msgspec.Struct, frozen=True, tag="role-taken"):
    """The spare manages the site in the place of its management server. role: "management"."""

    role: str
    server: str
    lease: int


class RoleReturned(msgspec.Struct, frozen=True, tag="role-returned"):
    """Somebody else manages the site again: the management server, or a spare that has the lease."""

    role: str
    server: str
    lease: int


class HookFailed(msgspec.Struct, frozen=True, tag="hook-failed"):
    """A command that was to be run at a takeover or hand-back did not end well. event: which of both."""

    event: str
    server: str
    command: str
    error: str


RoleEvent: TypeAlias = RoleTaken | RoleReturned | HookFailed
DutyEvent: TypeAlias = TakenOver | Uncovered | HandedBack
MergeEvent: TypeAlias = Merged | MergeFailed | Outage
StationEvent: TypeAlias = RoleEvent | MergeEvent | DutyEvent | Reloaded | ReloadRefused
Event: TypeAlias = RecorderEvent | StationEvent
