"""Asks cameras for what no configuration tells: whether they deliver, and how many bits a second."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from fovideo.camera import CameraConfig, CameraState
from fovideo.camera.clocks import Clocks
from fovideo.camera.reader import Reader
from fovideo.errors import CameraError
from fovideo.ring import Ring
from fovideo.times import NS_PER_S

AT_ONCE = 16
"""Cameras that are opened at the same time."""

_RING_BYTES = 4 << 20
_SLACK_S = 2.0
_FAILED = (CameraState.CONNECTING, CameraState.LIVE, CameraState.STOPPED)


class CameraProbe(msgspec.Struct, frozen=True, kw_only=True):
    """What a camera did when it was opened. bit_rate: bits a second. error: why it did not deliver, or ""."""

    name: str
    bit_rate: int = 0
    frames: int = 0
    error: str = ""


def probe_cameras(cameras: Sequence[CameraConfig], *, seconds: float) -> dict[str, CameraProbe]:
    """Open each camera, read it for a while, and hang up."""
    with ThreadPoolExecutor(min(AT_ONCE, max(len(cameras), 1))) as pool:
        return {found.name: found for found in pool.map(lambda camera: _probe(camera, seconds), cameras)}


def _probe(camera: CameraConfig, seconds: float) -> CameraProbe:
    clocks, settled = Clocks(), threading.Event()
    failure: list[str] = []

    def on_state(state: CameraState, error: CameraError | None) -> None:
        if state is CameraState.LIVE:
            settled.set()
        elif state not in _FAILED and not settled.is_set():
            failure.append(str(error) if error is not None else str(state))
            settled.set()

    ring = Ring(_RING_BYTES)
    reader = Reader(camera, ring, on_state=on_state, clocks=clocks)
    reader.start()
    try:
        if not settled.wait(camera.open_timeout_ns / NS_PER_S + _SLACK_S):
            failure.append("does not deliver in time")
        if failure:
            return CameraProbe(name=camera.name, error=failure[0])
        before, began_ns = reader.status(), clocks.monotonic_ns()
        threading.Event().wait(seconds)
        after, took_ns = reader.status(), clocks.monotonic_ns() - began_ns
        bits = (after.bytes - before.bytes) * 8
        silent = "connected, but silent" if after.frames == before.frames else ""
        return CameraProbe(
            name=camera.name,
            bit_rate=round(bits * NS_PER_S / took_ns),
            frames=after.frames - before.frames,
            error=after.error or silent,
        )
    finally:
        reader.stop()
        if reader.join(camera.open_timeout_ns / NS_PER_S + _SLACK_S):
            ring.close()
