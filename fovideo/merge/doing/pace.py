"""How fast a merge may go: a rate, and a brake that yields to live recording. Pure: clocks are handed in."""

from __future__ import annotations

import msgspec

from fovideo.merge.doing.order import STEP_BYTES
from fovideo.times import NS_PER_MS, NS_PER_S

FIRST_PAUSE_NS = 100 * NS_PER_MS
LONGEST_PAUSE_NS = 10 * NS_PER_S
LEAST_STEP_BYTES = 256 << 10
FIRST_STEP_BYTES = 2 << 20
POLITE_STEP_BYTES = 16 << 20


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """What limits a merge.

    rate_bytes: a second, at most; 0 = no limit. brake_ns: how long a commit of the target's recorder may
    take before the merge yields to it; 0 = never.
    """

    rate_bytes: int = 0
    brake_ns: int = 250 * NS_PER_MS

    def step_bytes(self, live: bool, largest: int = STEP_BYTES) -> int:
        """How large one insertion may be. live: the target records meanwhile. largest: without limits.

        At a rate, half a second's worth, so that the flow is even and a pause or an end comes soon.
        """
        if live and self.brake_ns:
            largest = min(largest, POLITE_STEP_BYTES)
        if not self.rate_bytes:
            return largest
        return max(min(self.rate_bytes // 2, largest), LEAST_STEP_BYTES)

    def next_step_bytes(self, before_bytes: int, latency_ns: int, most_bytes: int) -> int:
        """How large the next insertion into a target that records may be. before_bytes: the last one's limit;
        0 = there was none. latency_ns: of the target's commits now. most_bytes: as step_bytes said.

        A commit waits behind a whole insertion, so the brake makes these smaller too: a quarter at once, and
        twice as large as long as commits are quick.
        """
        if not before_bytes:
            return min(FIRST_STEP_BYTES, most_bytes) if latency_ns and self.brake_ns else most_bytes
        if self.brake_ns and latency_ns > self.brake_ns:
            return max(min(before_bytes, most_bytes) // 4, min(LEAST_STEP_BYTES, most_bytes))
        return min(before_bytes * 2 if 2 * latency_ns <= self.brake_ns else before_bytes, most_bytes)

    def wait_ns(self, step_bytes: int, took_ns: int) -> int:
        """How long to wait after a step, so that step and wait together keep to the rate."""
        if not self.rate_bytes:
            return 0
        return max(step_bytes * NS_PER_S // self.rate_bytes - took_ns, 0)

    def pause_ns(self, before_ns: int, latency_ns: int) -> int:
        """How long to let the target alone after a step. before_ns: the pause before that. latency_ns: of the
        target's commits now.

        Doubles while commits are too slow and halves while they are not, so it finds the share that the disk
        can spare, and gives all of it back soon.
        """
        if not self.brake_ns:
            return 0
        if latency_ns > self.brake_ns:
            return min(max(2 * before_ns, FIRST_PAUSE_NS), LONGEST_PAUSE_NS)
        return before_ns // 2 if before_ns > FIRST_PAUSE_NS else 0


def eta_ns(left_bytes: int, pace_bytes: int) -> int | None:
    """Time for what is left at so many bytes a second; None while that is not known."""
    if left_bytes <= 0:
        return 0
    return left_bytes * NS_PER_S // pace_bytes if pace_bytes > 0 else None


def retry_after_ns(tries: int) -> int:
    """Pause before another attempt, after so many in vain: 200 ms, doubled each time, 5 s at most."""
    return min(200 * NS_PER_MS << min(tries, 10), 5 * NS_PER_S)
