"""Thresholds of stamping, each with its reason."""

from __future__ import annotations

import msgspec

from fovideo.times import NS_PER_MS, NS_PER_S


class StampSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All in ns but reorder_frames.

    step_ns: a deviation of the sender reports from this on is a step of the camera's clock: new epoch.
    anchor_ns: smaller deviations than this are jitter of the reports' arithmetic and are left alone.
    jump_ns: pts that run ahead of receipt by more than this at once have jumped.
    reorder_frames, reorder_ns: limits for holding back a run of B-frames whose order is not known yet.
    reorder_min_ns: pts may fall back by this much without it being a jump.
    stale_ns: sender reports that have not changed for this long after a jump of pts are true after all.
    local_settle_ns: after this long the local anchor is improved by the least delay seen.
    local_drift_ns: the local anchor is corrected when the media clock has drifted from receipt by this much.
    report_error_ns, container_error_ns, local_error_ns: error bounds of the three sources.
    earliest_ns: wall clocks before this (2001) come from cameras that were never set.
    """

    step_ns: int = 500 * NS_PER_MS
    anchor_ns: int = 2 * NS_PER_MS
    jump_ns: int = 10 * NS_PER_S
    reorder_frames: int = 16
    reorder_ns: int = 2 * NS_PER_S
    reorder_min_ns: int = 500 * NS_PER_MS
    stale_ns: int = 12 * NS_PER_S
    local_settle_ns: int = 2 * NS_PER_S
    local_drift_ns: int = 200 * NS_PER_MS
    report_error_ns: int = NS_PER_MS
    container_error_ns: int = NS_PER_S
    local_error_ns: int = NS_PER_S
    earliest_ns: int = 978_307_200 * NS_PER_S
