"""The commands that an operator of a site uses, on a small one that runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from command import fovideo, fovideo_json, one_line
from free_ports import free_ports
from site_text import camera, machine
from waiting import wait_until

from fovideo.replay import LoopSource, RtspServer, make_clip
from fovideo.service.serve import RecordingServer
from fovideo.service.spare import Spare
from fovideo.site import load_site

pytestmark = pytest.mark.e2e
SECRET = "hush-hush"


class SmallSite:
    """Server, spare and two cameras in this process."""

    def __init__(self, folder: Path, rtsp: RtspServer) -> None:
        make_clip(folder / "clip.mp4", width=160, height=96, seconds=2, gop=10)
        ports = free_ports(2)
        text = f"""
[site]
name = "plant"
token = "{SECRET}"
[detection]
handback_after = "500ms"
merge_every = "300ms"
"""
        text += machine("server", "rec-1", ports[0]) + machine("spare", "spare-1", ports[1])
        for name in ("gate", "yard"):
            text += camera(name, rtsp.add_stream(name, LoopSource(folder / "clip.mp4")))
        self.file = folder / "site.toml"
        self.file.write_text(text)
        site = load_site(self.file)
        self.server, self.spare = RecordingServer(site, "rec-1"), Spare(site, "spare-1")
        self.server.start()
        self.spare.start()

    def at_rest(self) -> bool:
        watched = self.spare.health().servers["rec-1"]
        cameras = [camera for each in (self.server, self.spare) for camera in each.health().cameras.values()]
        recorded = all(camera.durable_to_ns for camera in self.server.health().cameras.values())
        return watched.state == "watching" and recorded and all(camera.state == "live" for camera in cameras)

    def close(self) -> None:
        self.spare.stop()
        self.server.stop()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallSite]:
    with RtspServer() as rtsp:
        site = SmallSite(tmp_path_factory.mktemp("site"), rtsp)
        wait_until(site.at_rest, "the site is at rest", 60)
        yield site
        site.close()


def test_all_is_well(site: SmallSite) -> None:
    view = fovideo_json("status", site.file)
    assert view["problems"] == []
    server, spare = view["machines"]
    assert (server["name"], server["state"], server["stood_in_by"]) == ("rec-1", "recording", [])
    assert (spare["name"], spare["state"]) == ("spare-1", "watching")
    assert {camera["name"]: camera["state"] for camera in server["cameras"]} == {
        "gate": "live",
        "yard": "live",
    }
    assert all(camera["lag_s"] >= 0 for camera in server["cameras"])
    shown = fovideo("status", site.file)
    assert "all is well" in shown.stdout
    assert SECRET not in shown.stdout + shown.stderr


def test_the_check_adds_up_what_a_spare_needs(site: SmallSite) -> None:
    report = fovideo_json("site", "check", site.file)
    assert report["problems"] == []
    assert report["machines"] == {"rec-1": "", "spare-1": ""}
    rates = {name: camera["bit_rate"] for name, camera in report["cameras"].items()}
    assert all(rate > 1000 for rate in rates.values())
    needs = report["spares"]["spare-1"]
    assert needs["cameras"] == 2
    assert needs["bits_per_second"] == sum(rates.values())
    assert 0 < needs["preroll_bytes"] <= needs["ring_bytes"] == 2 * 32 * 2**20
    shown = fovideo("site", "check", site.file)
    assert shown.returncode == 0
    assert "2 of 2 machines answer, 2 of 2 cameras deliver, 0 problems" in shown.stdout


def test_the_check_names_each_problem(site: SmallSite) -> None:
    text = site.file.read_text()
    dead, absent = free_ports(2)
    broken = site.file.with_name("broken.toml")
    broken.write_text(
        text.replace("[[spare]]", f'[arbitration]\netcd = ["http://127.0.0.1:{dead}"]\n[[spare]]')
        + f'ring = "64KiB"\nbit_rate = 4_000_000\n[[camera]]\nname = "cellar"\nserver = "rec-1"\n'
        f'url = "rtsp://u:{SECRET}@127.0.0.1:{dead}/x"\nopen_timeout = "1s"\n[[server]]\nname = "rec-2"\n'
        f'listen = "127.0.0.1:{absent}"\nstore = "rec-2"\n'
    )
    report = fovideo_json("site", "check", broken, "--measure", "1s", status=1)
    problems = {problem["where"]: problem["what"] for problem in report["problems"]}
    assert "nothing listens" in problems["server rec-2"]
    assert any(where.startswith("etcd ") for where in problems)
    assert "cellar differ" in problems["server rec-1"]
    assert "cannot connect" in problems["camera cellar"]
    assert "holds only" in problems["camera yard"]
    shown = fovideo("site", "check", broken, "--no-cameras")
    assert shown.returncode == 1
    assert SECRET not in shown.stdout + shown.stderr + str(report)


def test_a_file_that_is_wrong(site: SmallSite, tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(site.file.read_text() + 'serverr = "rec-1"\n')
    for command in (("status",), ("site", "check"), ("failback", "--server", "rec-1")):
        done = fovideo(*command, path)
        assert done.returncode == 2
        assert "did you mean 'server'" in one_line(done)
    assert "no server named 'rec-9'" in one_line(fovideo("drain", site.file, "--server", "rec-9"))


def test_by_hand_there_and_back(site: SmallSite) -> None:
    done = fovideo_json("failover", site.file, "--server", "rec-1")
    assert (done["spare"], done["complete"]) == ("spare-1", True)
    assert done["lease"] >= 1
    view = fovideo_json("status", site.file, status=1)
    (stand_in,) = view["machines"][0]["stood_in_by"]
    assert stand_in["spare"] == "spare-1"
    assert sorted(stand_in["cameras"]) == ["gate", "yard"]
    assert any("spare-1 is" in line for line in view["problems"])
    back = fovideo_json("failback", site.file, "--server", "rec-1")
    assert (back["state"], back["unmerged_frames"], back["complete"]) == ("watching", 0, True)
    wait_until(site.at_rest, "at rest again", 60)
    nobody = fovideo("failback", site.file, "--server", "rec-1")
    assert "no spare stands in for it" in one_line(nobody)


def left_alone(site: SmallSite) -> float:
    """How sure the spare is that the server is down, while it does nothing about it."""
    watched = site.spare.health().servers["rec-1"]
    assert watched.state in ("watching", "suspect")
    return watched.suspicion


def test_a_planned_stop(site: SmallSite) -> None:
    drained = fovideo_json("drain", site.file, "--server", "rec-1")
    assert (drained["state"], drained["complete"]) == ("drained", True)
    site.server.stop()
    wait_until(lambda: left_alone(site) >= 2, "for any other it would long stand in", 60)
    down = fovideo_json("status", site.file, status=1)
    assert down["machines"][0]["state"] == "down"
    site.server = RecordingServer(load_site(site.file), "rec-1")
    site.server.start()
    wait_until(site.at_rest, "at rest again", 60)


def test_a_drill(site: SmallSite) -> None:
    report = fovideo_json("drill", site.file, "--server", "rec-1", "--hold", "1s", "--within", "20s")
    assert report["passed"]
    assert (report["kind"], report["spare"], report["lost_s"]) == ("real", "spare-1", {})
    assert report["detection_s"] > 0
    assert report["handback_s"] > 0
    wait_until(site.at_rest, "at rest again", 60)
    late = fovideo("drill", site.file, "--server", "rec-1", "--hold", "0s", "--within", "100ms")
    assert late.returncode == 1
    assert "more than 0.10 s" in late.stdout
    wait_until(site.at_rest, "at rest again", 60)


def test_no_drill_while_something_is_wrong(site: SmallSite) -> None:
    fovideo_json("failover", site.file, "--server", "rec-1")
    before = site.server.health().instance
    refused = fovideo("drill", site.file, "--server", "rec-1")
    assert refused.returncode == 1
    assert "not now" in refused.stderr
    assert site.server.health().instance == before
    fovideo_json("failback", site.file, "--server", "rec-1")
    wait_until(site.at_rest, "at rest again", 60)


def test_a_drill_on_looped_cameras(site: SmallSite) -> None:
    report = fovideo_json("drill", site.file, "--server", "rec-1", "--looped", "--within", "20s")
    assert report["passed"]
    assert (report["kind"], report["lost_s"]) == ("looped", {})
    assert report["detection_s"] > 0
