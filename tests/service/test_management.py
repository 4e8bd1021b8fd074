"""A managed site: clients find everything from a list of addresses; configurations never go back."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest
from command import fovideo, fovideo_json
from managed_site import TOKEN, ManagedSite, managed_site
from viewer import watched_numbers
from whole_site import until

from fovideo.errors import ConfigError, ConfigStale, PeerUnauthorized
from fovideo.peer import ManagementClient, StreamPlace
from fovideo.peer.credentials import Credentials
from fovideo.times import NS_PER_S, format_ns

pytestmark = pytest.mark.e2e


def place(manager: ManagementClient, camera: str) -> StreamPlace:
    return next(stream for stream in manager.directory().streams if stream.camera == camera)


def test_recorder_and_management_die_together_and_return(tmp_path: Path) -> None:
    with managed_site(tmp_path) as site:
        site.write(1)
        site.start("mgmt", "rec-1")
        site.start("spare-1", environ={**os.environ, "SITE_SECRET": "x"})
        until(lambda: site.records("rec-1", 1) and site.records("spare-1", 1), "the site runs")
        _before(site)
        begin_ns = time.time_ns() - NS_PER_S
        _publish(site)
        site.kill("mgmt", "rec-1")
        _during(site)
        _after(site, begin_ns)


def _before(site: ManagedSite) -> None:
    with site.wait_for_manager("mgmt") as manager:
        # A spare that heard the camera first may stand in for a moment.
        address = f"rtsp://127.0.0.1:{site.rtsp['rec-1']}/cam0"
        until(lambda: place(manager, "cam0").live == address, "the server records what the spare heard")
        until(lambda: place(manager, "cam0").state == "recording", "the directory is up to date")
        directory = manager.directory()
        assert directory.manager.version == 1
        machines = directory.machines
        assert {name: machine.role for name, machine in machines.items()} == {
            "rec-1": "server",
            "spare-1": "spare",
        }
        assert machines["rec-1"].attached == ("serial line of the gate", "relay board")
        seen = fovideo_json("timeline", manager.timeline_url, FOVIDEO_TOKEN=TOKEN)
        assert seen["streams"][0]["frames"] > 0
    found = watched_numbers(f"rtsp://127.0.0.1:{site.rtsp['mgmt']}/cam0", 30)
    assert found == list(range(found[0], found[0] + 30)), "redirected to whoever records it"
    stranger = ManagementClient(f"http://127.0.0.1:{site.http['mgmt']}", credentials=Credentials())
    with stranger, pytest.raises(PeerUnauthorized):
        stranger.configuration()


def _publish(site: ManagedSite) -> None:
    two = site.folder / "two.toml"
    two.write_text(site.text(2))
    done = fovideo("publish", two, FOVIDEO_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    assert "version 2 is in force" in done.stderr
    until(lambda: site.records("rec-1", 2) and site.records("spare-1", 2), "both have taken it in")
    kept = sorted((site.folder / "rec-1" / "configuration").glob("version-*.json"))
    assert [path.name[:16] for path in kept] == ["version-00000001", "version-00000002"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
    with site.wait_for_manager("mgmt") as manager:
        with pytest.raises(ConfigStale, match="version 2 is in force"):
            manager.publish(site.text(1), after=1)
        with pytest.raises(ConfigError, match="unknown table"):
            manager.publish("[sight]\n")
        assert manager.status().version == 2


def _during(site: ManagedSite) -> None:
    with site.wait_for_manager("spare-1") as manager:
        assert (manager.status().role, manager.status().lease) == ("spare", 1)
        until(lambda: place(manager, "cam0").state == "standing in", "the spare stands in")
        at = place(manager, "cam0")
        assert (at.by, at.live) == ("spare-1", f"rtsp://127.0.0.1:{site.rtsp['spare-1']}/cam0")
        machines = manager.directory().machines
        assert machines["rec-1"].state == ""
        assert machines["spare-1"].stands_in_for == ("rec-1",)
        assert watched_numbers(at.live, 20)
        assert fovideo_json("timeline", manager.timeline_url, FOVIDEO_TOKEN=TOKEN)["streams"]
        assert manager.publish(site.text(1), after=2).version == 3
    until(lambda: _told(site, "takeover", "management") and _told(site, "takeover", "recording"), "hooks run")
    recording = _told(site, "takeover", "recording")[-1]
    assert recording["FOVIDEO_SERVER"] == "rec-1"
    assert recording["FOVIDEO_SPARE"] == "spare-1"
    assert int(recording["FOVIDEO_LEASE"]) == at.lease
    taken = [each["FOVIDEO_CAMERAS"].split() for each in _told(site, "takeover", "recording")]
    assert {name for names in taken for name in names} == {"cam0", "cam1"}
    assert recording["FOVIDEO_ATTACHED"].splitlines() == ["serial line of the gate", "relay board"]
    assert recording["others"] == []
    assert [each["FOVIDEO_SERVER"] for each in _told(site, "takeover", "management")] == ["mgmt"]


def _after(site: ManagedSite, begin_ns: int) -> None:
    until(lambda: site.records("spare-1", 1), "the spare has taken in version 3")
    site.start("rec-1")
    until(lambda: site.records("rec-1", 1), "the server runs, with what the acting spare has")
    site.start("mgmt")
    with site.wait_for_manager("mgmt") as manager:
        assert manager.status().version == 3
        assert manager.configuration().text == site.text(1), "a returned manager takes over the newer version"
        until(lambda: place(manager, "cam0").state == "recording", "handed back", 120)
        end_ns = time.time_ns() - 3 * NS_PER_S
        stretch = f"cam0/{format_ns(begin_ns)}/{format_ns(end_ns)}"
        found = watched_numbers(f"rtsp://127.0.0.1:{site.rtsp['mgmt']}/{stretch}")
        assert found == list(range(found[0], found[0] + len(found)))
        assert len(found) > 25
        status = manager.status()
    until(lambda: bool(_told(site, "handback", "management")), "the hook of the hand-back has run")
    until(lambda: bool(_told(site, "handback", "recording")), "that of the recorder, too")
    until(lambda: not _acts(site), "the spare rests")
    assert status.role == "management"


def _told(site: ManagedSite, event: str, role: str) -> list[dict[str, str]]:
    return [each for each in site.hooks() if (each["FOVIDEO_EVENT"], each["FOVIDEO_ROLE"]) == (event, role)]


def _acts(site: ManagedSite) -> bool:
    with ManagementClient(f"http://127.0.0.1:{site.http['spare-1']}", credentials=site.credentials) as spare:
        return spare.status().acting
