"""What a running server or spare says of itself: the answer to GET /v1/health."""

from __future__ import annotations

from typing import Any

import msgspec

from fovideo.merge.doing.running import MergeStatus
from fovideo.times import format_ns


class CameraHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One camera. Times of frames are of its timeline; 0 = none yet.

    state: of the connection (CameraState). mode: "record" or "standby".
    durable_to_ns: time of the newest frame of this process that is safe on disk.
    frames: received; dropped: had no room in memory; lost: never reached the disk, for whatever reason.
    sessions: connections so far. held_bytes: received, but not on disk; late_ns: for how long it has been
    waiting for that.
    error: what is wrong, one line, "" when nothing is.
    """

    state: str
    mode: str = "record"
    durable_to_ns: int = 0
    durable_to: str | None = None
    frames: int = 0
    dropped: int = 0
    lost: int = 0
    sessions: int = 0
    held_bytes: int = 0
    late_ns: int = 0
    clock: str = ""
    error: str = ""


class StoreHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The store. id: the same for its path and its URL. error: why it takes nothing now, "" while it does.
    commit_ns: how long commits take now, the longest of the last ones.

    state: "working", "slow" (the present commit has been taking busy_ns), "full", "read-only" or "failing".
    """

    id: str
    commits: int = 0
    failures: int = 0
    last_commit_ns: int = 0
    commit_ns: int = 0
    state: str = "working"
    busy_ns: int = 0
    error: str = ""


class WatchedServer(msgspec.Struct, frozen=True, kw_only=True):
    """What a spare does about one server. Times are wall clock ns, 0 = never.

    state: of fovideo.failover.State. cameras: state of each that the spare stands in for.
    lease: number of the current takeover, or of the last. answered_ns: last sign of life.
    takeover_ns, handback_ns: the last ones. inserted_frames: given back in the current or last takeover.
    unmerged_frames: held here and not yet confirmed. paused: merging is held back by order.
    error: why it does not answer, or the last pass failed.
    claimed: cameras for which it is settled that this spare has them; firm: the lease service says so.
    drained: the server's last word was that it will be stopped on purpose.
    left: cameras that no spare has room for. suspicion: 0 = it has just answered, 1 and more = it is down.
    cut_off: it may be this spare that the network lost. ordered: it stands in because somebody said so.
    missing_ns: by camera, what the server's timeline lacks of the last outage: no machine received it.
    recorded_to_ns: by camera, up to where the server had it on disk when it last said so.
    """

    state: str
    cameras: dict[str, str] = {}
    lease: int = 0
    answered_ns: int = 0
    takeover_ns: int = 0
    handback_ns: int = 0
    takeovers: int = 0
    merges: int = 0
    inserted_frames: int = 0
    unmerged_frames: int = 0
    paused: bool = False
    claimed: tuple[str, ...] = ()
    firm: bool = False
    left: tuple[str, ...] = ()
    suspicion: float = 0.0
    cut_off: bool = False
    ordered: bool = False
    drained: bool = False
    missing_ns: dict[str, int] = {}
    recorded_to_ns: dict[str, int] = {}
    error: str = ""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """A process of a site. Answering it touches no disk, so a process whose disk hangs still answers.

    role: "server" or "spare". instance: new at each start. state: of a server "starting", "recording",
    "stopping" or "drained"; of a spare the furthest of its servers'. now_ns: wall clock.
    licence: what is wrong with the site's licence or will be, "" for nothing. servers: of a spare only.
    merges: those that this process carries out now. memory_bytes: what all its rings may hold together.
    arbitration: of a spare, why the lease service cannot be asked.
    unreachable: of the timeline of a whole site, the machines whose recordings are not in it now.
    """

    name: str
    role: str
    instance: str
    state: str
    now_ns: int
    now: str = ""
    site: str = ""
    version: str = ""
    licence: str = ""
    cameras: dict[str, CameraHealth] = {}
    store: StoreHealth
    servers: dict[str, WatchedServer] = {}
    merges: tuple[MergeStatus, ...] = ()
    memory_bytes: int = 0
    arbitration: str = ""
    unreachable: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The JSON object, with RFC 3339 texts beside the times."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        plain["now"] = format_ns(self.now_ns)
        for camera in plain["cameras"].values():
            edge_ns = camera["durable_to_ns"]
            camera["durable_to"] = format_ns(edge_ns) if edge_ns else None
        return plain
