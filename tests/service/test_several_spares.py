"""Several servers and spares as real processes: who stands in for whom, with etcd and without."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from etcd_cluster import etcd_cluster
from free_ports import free_ports
from several_spares import several_spares
from whole_site import until

from fovideo.store import Store

pytestmark = pytest.mark.e2e


def test_without_etcd_they_settle_who_stands_in_for_whom(tmp_path: Path) -> None:
    """Spares that have just begun cannot rely on each other, so both may record; in the end one does. Which
    one depends on who is slow: see tests/failover/test_sharing.py for the rule.
    """
    with several_spares(tmp_path) as site:
        site.settle_in()
        site.servers[0].kill()
        site.wait_for_holder(0)
        site.servers[1].kill()
        site.wait_for_holder(1)
        first = site.wait_for_holder(0)
        site.spares[first].kill()
        until(lambda: site.holds(1 - first, 0), "its cameras are taken by the one that is left")
        until(lambda: site.holds(1 - first, 1), "which has the other's, too")
        site.spares[first].start()
        for server in site.servers:
            server.start()
        site.check_every_frame_once()


def test_with_etcd_that_goes_away_and_returns(tmp_path: Path) -> None:
    with etcd_cluster(tmp_path) as etcd:
        endpoints = ", ".join(f'"{each}"' for each in etcd.endpoints)
        arbitration = f"[arbitration]\netcd = [{endpoints}]\nttl = 3\n"
        with several_spares(tmp_path, servers=1, site=arbitration) as site:
            site.settle_in()
            site.servers[0].kill()
            one = site.wait_for_holder(0, firm=True)
            first = site.of(site.spares[one]).servers["rec-1"]
            for number in range(3):
                etcd.kill(number)
            until(lambda: bool(site.of(site.spares[one]).arbitration), "etcd's absence is reported")
            until(lambda: site.holds(one, 0), "and changes nothing")
            other = 1 - one
            site.spares[one].kill()
            until(lambda: site.holds(other, 0, firm=False), "the other stands in on its own account")
            for number in range(3):
                etcd.start(number)
            until(lambda: site.holds(other, 0, firm=True), "and settles it when etcd is back")
            second = site.of(site.spares[other]).servers["rec-1"]
            assert second.lease > first.lease
            assert second.lease % 64 == other
            site.spares[one].start()
            site.servers[0].start()
            site.check_every_frame_once()


@pytest.mark.parametrize("into", ["", "rec-1"])
def test_a_server_that_is_not_fovideos(tmp_path: Path, into: str) -> None:
    (port,) = free_ports(1)
    with several_spares(tmp_path, servers=1, spares=1, site="") as site:
        text = site.file.read_text().replace('server = "rec-1"', 'server = "dvr"')
        merge = f'merge_into = "{into}"\n' if into else ""
        site.file.write_text(f'{text}[[server]]\nname = "dvr"\nwatch = "tcp://127.0.0.1:{port}"\n{merge}')
        (server,), (spare,) = site.servers, site.spares
        dvr = socket.create_server(("127.0.0.1", port))
        server.start()
        spare.start()
        until(lambda: spare.hears(["cam0"]), "the spare hears the camera")
        until(lambda: spare.state("dvr") == "watching", "it is at rest")
        dvr.close()
        until(lambda: spare.state("dvr") == "standing in", "it stands in")
        until(lambda: spare.records(["cam0"]), "it records")
        lease = site.of(spare).servers["dvr"].lease
        with socket.create_server(("127.0.0.1", port)):
            until(lambda: spare.state("dvr") == "watching", "it hands back")
            spare.stop()
            spare.start()
            until(lambda: spare.hears(["cam0"]), "it is back")
            assert spare.state("dvr") == "watching", "what stays with it is no reason to stand in"
            spare.stop()
        server.stop()
        with Store.open(tmp_path / "spare-1") as store:
            waiting = store.unsettled("cam0")
            leases = {provenance.lease for provenance in store.provenances("cam0").values()}
        assert leases == {lease}
        assert bool(waiting) is not bool(into), "merged, or kept and marked"
        with Store.open(tmp_path / "rec-1") as store:
            assert bool(store.streams()) is bool(into)


def test_cold_and_warm_cameras_and_a_lack_of_room(tmp_path: Path) -> None:
    """One spare, with room for one camera: the more important one is taken, the other reported."""
    with several_spares(tmp_path, spares=1, spare="capacity = 1\n", camera='standby = "cold"\n') as site:
        text = site.file.read_text().replace('name = "cam1"', 'name = "cam1"\npriority = 5')
        site.file.write_text(text.replace('standby = "cold"', 'standby = "warm"', 1))
        site.settle_in()
        assert list(site.of(site.spares[0]).cameras) == ["cam0"], "a cold camera is not read"
        for server in site.servers:
            server.kill()
        until(lambda: len(site.standing()) == 1, "there is room for one")
        ((_, server),) = site.standing()
        until(lambda: bool((w := site.watched(0, 1 - server)) and w.left), "the other is reported")
        until(lambda: site.spares[0].records([f"cam{server}"]), "it is recorded")
        for process in site.servers:
            process.start()
        until(lambda: not site.standing(), "handed back")
        until(lambda: "cam1" not in site.of(site.spares[0]).cameras, "the cold camera is let go")
