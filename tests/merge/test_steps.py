"""Machines whose clocks are put right between two sessions, and cameras that send no reports: times are all
there is to tell one lap of a scene from another.
"""

from __future__ import annotations

import pytest
from merge_site import Site
from merge_world import S, camera

MS = 1_000_000


def stepped(content: str, machine: str, step_ns: int, *, shared: int = 40) -> dict[int, int]:
    """A server with two outages and a spare; from its second session on one machine's clock is ahead."""
    shots, site = camera(800, gop=25, content=content, loop=100), Site()
    sessions = {
        "server": [(0, 200), (300, 500), (600, 800)],
        "spare": [(200 - shared, 300 + shared), (500 - shared, 600 + shared)],
    }
    for name, parts in sessions.items():
        for number, (start, stop) in enumerate(parts):
            site.hears(name, shots[start:stop], ahead_ns=step_ns if number and name == machine else 0)
    return site.merged("spare")


@pytest.mark.parametrize("machine", ["server", "spare"])
@pytest.mark.parametrize("step_ns", [300 * MS, 3 * S, -30 * S, 90 * S])
def test_moving_pictures_tell_the_step(machine: str, step_ns: int) -> None:
    assert stepped("moving", machine, step_ns) == dict.fromkeys(range(800), 1)


@pytest.mark.parametrize("machine", ["server", "spare"])
@pytest.mark.parametrize("content", ["still", "loop"])
def test_a_small_step_is_told_in_spite_of_laps(content: str, machine: str) -> None:
    """No lap passes for another, though that would explain more frames by one clock."""
    assert stepped(content, machine, 300 * MS) == dict.fromkeys(range(800), 1)


@pytest.mark.parametrize("machine", ["server", "spare"])
@pytest.mark.parametrize("step_ns", [3 * S, -30 * S])
def test_a_step_that_no_lap_tells_loses_nothing(machine: str, step_ns: int) -> None:
    """Which lap it was can't be known: what both hold is kept twice, and nothing is left out."""
    assert set(stepped("loop", machine, step_ns)) == set(range(800))
