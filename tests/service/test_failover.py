"""Failover of a whole site: real processes, real RTSP; whatever happens, the server has every frame once."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from whole_site import Process, WholeSite, until, whole_site

from fovideo.service.events import HandedBack, TakenOver

pytestmark = pytest.mark.e2e


@pytest.fixture
def site(tmp_path: Path) -> Iterator[WholeSite]:
    with whole_site(tmp_path) as site:
        site.settle_in()
        yield site


def outage(seconds: float = 2.0) -> None:
    """The outage goes on for a while."""
    threading.Event().wait(seconds)


def test_a_server_is_killed_and_returns(site: WholeSite) -> None:
    before = site.handbacks()
    site.server.kill()
    site.wait_for_state("standing in")
    outage()
    site.server.start()
    until(lambda: site.handbacks() > before, "handed back")
    (last,) = [event for event in site.events if isinstance(event, HandedBack) and event.over][before:]
    assert last.incomplete == ()
    assert {report.name for report in last.streams} == set(site.cameras)
    assert all(report.inserted_frames > 40 and report.verified for report in last.streams)
    watched = site.spare.health().servers["rec-1"]
    assert watched.unmerged_frames == 0
    assert watched.handback_ns > watched.takeover_ns > 0
    site.check_every_frame_once()


def test_a_server_dies_again_during_the_merge(site: WholeSite) -> None:
    site.server.kill()
    site.wait_for_state("standing in")
    outage()
    site.server.start()
    site.wait_for_state("merging")
    site.server.kill()
    site.wait_for_state("standing in")
    site.server.start()
    until(lambda: site.state in ("sealing", "watching"), "the last pass")
    site.server.kill()
    until(lambda: site.state in ("standing in", "merging"), "taken over again")
    outage(1)
    site.server.start()
    site.wait_for_state("watching")
    site.check_every_frame_once()


def test_a_server_freezes(site: WholeSite) -> None:
    site.server.signal(signal.SIGSTOP)
    site.wait_for_state("standing in")
    outage()
    site.server.signal(signal.SIGCONT)
    site.wait_for_state("watching")
    site.check_every_frame_once()


def test_a_server_is_stopped_and_started_on_purpose(site: WholeSite) -> None:
    site.server.stop()
    site.wait_for_state("standing in")
    site.server.start()
    site.wait_for_state("watching")
    site.check_every_frame_once()


def test_a_server_loses_one_camera(tmp_path: Path) -> None:
    with whole_site(tmp_path, proxied=True) as site:
        site.settle_in()
        assert site.proxy is not None
        site.proxy.refuse()
        site.wait_for_state("standing in")
        watched = site.spare.health().servers["rec-1"]
        assert watched.cameras == {"cam1": "standing in"}
        outage(1)
        site.proxy.refuse(False)
        site.wait_for_state("watching")
        site.check_every_frame_once()


def test_the_spare_is_killed_while_it_stands_in(site: WholeSite) -> None:
    """What neither received is missing, and nothing else; nothing is there twice."""
    site.stop_spare()
    spare = Process(site.file, "spare", "spare-1")
    try:
        spare.start()
        until(lambda: spare.state("rec-1") == "watching", "the spare watches")
        until(lambda: spare.hears(site.cameras), "the spare hears the cameras")
        heard_ns = time.time_ns()
        until(lambda: site.server.records(site.cameras, heard_ns), "all before is on the server's disk")
        site.server.kill()
        until(lambda: spare.state("rec-1") == "standing in", "the spare stands in")
        until(lambda: spare.records(site.cameras), "the spare records")
        outage(1)
        safe_ns = min(camera.durable_to_ns for camera in spare.health().cameras.values())
        lease = spare.health().servers["rec-1"].lease
        spare.kill()
        spare.start()
        until(lambda: spare.state("rec-1") == "standing in", "the spare stands in again")
        assert spare.health().servers["rec-1"].lease == lease
        until(lambda: spare.records(site.cameras), "the spare records again")
        again_ns = time.time_ns()
        site.server.start()
        until(lambda: spare.state("rec-1") == "watching", "all is handed back")
        site.check_every_frame_once(except_ns=(safe_ns, again_ns))
    finally:
        spare.close()


def test_the_spare_is_restarted_while_it_stands_in(site: WholeSite) -> None:
    site.server.kill()
    site.wait_for_state("standing in")
    lease = site.spare.health().servers["rec-1"].lease
    outage()
    site.stop_spare()
    site.events.clear()
    site.server.start()
    until(lambda: site.server.records(site.cameras), "the server records")
    site.start_spare()
    until(lambda: any(isinstance(event, TakenOver) for event in site.events), "stands in again")
    (again,) = [event for event in site.events if isinstance(event, TakenOver)]
    assert again.lease == lease
    until(lambda: site.handbacks() > 0, "handed back")
    site.begin_ns = 0  # while neither was there, nobody received anything
    watched = site.spare.health().servers["rec-1"]
    assert watched.inserted_frames > 40
