"""A server dies, a spare stands in, the server returns: real processes, judged by markers in the stream."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
from site_processes import SiteProcesses, site_processes

from fovideo.store import check_store

pytestmark = pytest.mark.e2e

KILLS = int(os.environ.get("FOVIDEO_KILLS", "50"))


def _finish(site: SiteProcesses) -> int:
    """Let everything be handed back and durable, stop all; returns the end of what is judged."""
    site.wait_recording()
    site.wait_handed_back()
    end_ns = time.time_ns()
    site.wait_recording(end_ns)
    site.stop("spare-1")
    site.stop("rec-1")
    return end_ns


def _judge(site: SiteProcesses, camera: str, begin_ns: int, end_ns: int) -> None:
    sent = [frame.sequence for frame in site.cameras[camera].sent(begin_ns, end_ns)]
    found = site.numbers("rec-1", camera)
    assert len(sent) > 50
    assert [number for number in sent if number not in found] == []
    assert {number: count for number, count in found.items() if count > 1} == {}


def _begin(site: SiteProcesses) -> int:
    site.start("rec-1")
    site.start("spare-1")
    site.wait_recording()
    site.wait_standby()
    site.wait_handed_back()
    return time.time_ns()


def test_every_frame_once_after_the_server_was_killed(tmp_path: Path) -> None:
    with site_processes(tmp_path) as site:
        begin_ns = _begin(site)
        site.kill("rec-1")
        site.wait_taken_over()
        site.start("rec-1")
        end_ns = _finish(site)
        for camera in site.cameras:
            _judge(site, camera, begin_ns, end_ns)
        for name in ("rec-1", "spare-1"):
            assert check_store(tmp_path / name).sound


def test_every_frame_once_though_the_spare_is_restarted_while_it_stands_in(tmp_path: Path) -> None:
    with site_processes(tmp_path) as site:
        begin_ns = _begin(site)
        site.kill("rec-1")
        site.wait_taken_over()
        taken_ns = time.time_ns()
        site.wait_for(
            "spare-1",
            lambda health: all(health["cameras"][name]["durable_to_ns"] > taken_ns for name in site.cameras),
            "the spare has frames on disk",
        )
        site.start("rec-1")
        site.wait_recording()
        site.stop("spare-1")  # before or while it merges
        site.start("spare-1")
        end_ns = _finish(site)
        for camera in site.cameras:
            _judge(site, camera, begin_ns, end_ns)


def test_every_frame_once_though_the_server_dies_again_during_the_merge(tmp_path: Path) -> None:
    with site_processes(tmp_path) as site:
        begin_ns = _begin(site)
        site.kill("rec-1")
        site.wait_taken_over()
        for _ in range(2):
            site.start("rec-1")
            site.wait_for(
                "spare-1", lambda h: h["servers"]["rec-1"]["state"] in ("merging", "sealing"), "a merge"
            )
            site.kill("rec-1")
            site.wait_taken_over()
        site.start("rec-1")
        end_ns = _finish(site)
        for camera in site.cameras:
            _judge(site, camera, begin_ns, end_ns)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kill_9_of_any_process_at_random_instants_loses_no_durable_frame(tmp_path: Path) -> None:
    seed = int(os.environ.get("FOVIDEO_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
    print(f"FOVIDEO_SEED={seed}")
    chance = random.Random(seed)
    durable: dict[str, set[int]] = {}
    with site_processes(tmp_path) as site:
        _begin(site)
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.0, 1.5))  # the instant is what is random here: nothing is awaited
            name = chance.choice(("rec-1", "spare-1"))
            site.kill(name)
            for camera in site.cameras:
                durable.setdefault(camera, set()).update(site.numbers(name, camera))
            site.start(name)
        site.wait_standby()
        _finish(site)
        for camera in site.cameras:
            found = site.numbers("rec-1", camera)
            assert durable[camera] - found.keys() == set()
            assert {number: count for number, count in found.items() if count > 1} == {}
        for name in ("rec-1", "spare-1"):
            assert check_store(tmp_path / name).sound
