"""The health of a process, from what its parts say. Waits for nothing."""

from __future__ import annotations

from fovideo.media.frames import Clock
from fovideo.peer.health import CameraHealth, StoreHealth
from fovideo.record import CameraStatus, Mode, Recorder
from fovideo.store import Store
from fovideo.times import NS_PER_S

SENDER_REPORT = "sender-report"
SURE_CLOCKS = frozenset((SENDER_REPORT, "container"))
"""Names of the clocks that do not change any more: others are guesses, until the first sender report."""
SLOW_NS = 2 * NS_PER_S
"""A commit that takes longer is slow; normally it takes some milliseconds."""


def clock_name(clock: Clock | None) -> str:
    """ "sender-report", "container", "local"; "" = not known yet."""
    return clock.name.lower().replace("_", "-") if clock else ""


def camera_health(status: CameraStatus, now_ns: int) -> CameraHealth:
    """now_ns: of the monotonic clock."""
    held_bytes = status.ring_used_bytes if status.mode is Mode.RECORD else 0
    waits = held_bytes > 0 and 0 < status.safe_ns < status.last_receipt_ns
    return CameraHealth(
        state=status.state.value,
        mode=status.mode.value,
        durable_to_ns=status.durable_to_ns,
        frames=status.frames,
        dropped=status.dropped_frames,
        lost=status.lost_frames,
        sessions=status.sessions,
        held_bytes=held_bytes,
        late_ns=now_ns - status.safe_ns if waits else 0,
        clock=clock_name(status.clock),
        error=status.error,
    )


def store_health(store: Store, recorder: Recorder) -> StoreHealth:
    status = recorder.store_status()
    return StoreHealth(
        id=store.identity,
        commits=status.commits,
        failures=status.failures,
        last_commit_ns=status.last_commit_ns,
        commit_ns=store.write_latency_ns(),
        state=status.trouble or ("slow" if status.busy_ns >= SLOW_NS else "working"),
        busy_ns=status.busy_ns,
        error=status.error,
    )
