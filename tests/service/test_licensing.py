"""A spare watches the servers that the licence covers; what it does not cover is said everywhere."""

from __future__ import annotations

import logging
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from free_ports import free_ports
from waiting import wait_until

from fovideo.licence import Terms, make_licence
from fovideo.service.events import TakenOver
from fovideo.service.keeper import site_in_force
from fovideo.service.manage import ManagementServer
from fovideo.service.notices import Noticing
from fovideo.service.spare import Spare
from fovideo.site import Site, load_site
from fovideo.store import Store
from fovideo.timeline.values import Provenance

KEY = Ed25519PrivateKey.generate()


def licence(folder: Path, cameras: int) -> None:
    terms = Terms(number="L", holder="P", site="plant", edition="premium", camera_failover=cameras)
    (folder / "licence.json").write_bytes(make_licence(terms, KEY))


def site_of(folder: Path, extra: str = "", spare_port: int = 0) -> Site:
    public = KEY.public_key().public_bytes_raw().hex()
    lines = ['[site]\nname = "plant"', f'[licence]\nfile = "licence.json"\npublic_key = "{public}"']
    for number in (1, 2):
        lines.append(
            f'[[server]]\nname = "rec-{number}"\nlisten = "127.0.0.1:0"\nurl = "http://127.0.0.1:{number}"\n'
            f'store = "rec-{number}"'
        )
        lines.append(
            f'[[camera]]\nname = "cam{number}"\nserver = "rec-{number}"\nurl = "rtsp://127.0.0.1:{number}/1"'
        )
    lines.append(f'[[spare]]\nname = "spare-1"\nlisten = "127.0.0.1:{spare_port}"\nstore = "spare-1"')
    (folder / "site.toml").write_text("\n".join([*lines, extra]))
    return load_site(folder / "site.toml")


def test_what_is_not_covered_is_not_watched_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    licence(tmp_path, 1)
    site = site_of(tmp_path)
    with caplog.at_level(logging.ERROR), Spare(site, "spare-1") as spare:
        health = spare.health()
        assert set(health.servers) == {"rec-1"}
        assert set(health.cameras) == {"cam1"}
        assert "rec-2 is not failed over" in health.licence
        metrics = httpx.get(f"{spare.url}/metrics", trust_env=False).text
        assert 'fovideo_licence_covered{server="rec-1"} 1.0' in metrics
        assert 'fovideo_licence_covered{server="rec-2"} 0.0' in metrics
        assert "fovideo_licence_cameras_needed 2.0" in metrics
        licence(tmp_path, 2)
        spare.reload(site_of(tmp_path))
        assert set(spare.health().servers) == {"rec-1", "rec-2"}
        assert spare.health().licence == ""
        (tmp_path / "licence.json").write_bytes(b"?")
        spare.reload(site_of(tmp_path))
        assert set(spare.health().servers) == {"rec-1", "rec-2"}, "a doubt takes nothing away"
        assert "not a licence file" in spare.health().licence
    said = [record.getMessage() for record in caplog.records]
    assert any("rec-2 is not failed over" in line for line in said)


def test_footage_that_is_there_is_brought_back_whatever_the_licence_says(tmp_path: Path) -> None:
    from footage import VIDEO, video

    with Store.open(tmp_path / "spare-1", write=True, create=True) as store:
        provenance = Provenance(recorder="spare-1", session="1" * 16, lease=4)
        with store.writer("cam2", provenance, pending=True) as writer:
            writer.set_format([VIDEO])
            writer.append(*video(0, 50), epoch=0)
        store.commit()
    licence(tmp_path, 0)
    with Spare(site_of(tmp_path), "spare-1") as spare:
        assert set(spare.health().servers) == {"rec-2"}


def test_the_licence_travels_with_the_configuration(tmp_path: Path) -> None:
    manager_port, spare_port = free_ports(2)
    managed = (
        f'[[management]]\nname = "mgmt"\nlisten = "127.0.0.1:{manager_port}"\nfolder = "mgmt"\n'
        'detection = { poll = "100ms" }\n'
    )
    here, there = tmp_path / "mgmt-machine", tmp_path / "spare-machine"
    for folder in (here, there):
        folder.mkdir()
        site_of(folder, managed, spare_port)
    licence(here, 1)

    def watched(spare: Spare) -> tuple[set[str], str]:
        health = spare.health()
        return set(health.servers), health.licence

    with ManagementServer(here / "site.toml", "mgmt") as manager:
        assert manager.keeper.current is not None
        assert manager.keeper.current.licence
        with Spare(load_site(there / "site.toml"), "spare-1") as spare:
            wait_until(lambda: watched(spare)[0] == {"rec-1"}, "the licence has come to the spare", 30)
            licence(here, 2)
            manager.reload_file(here / "site.toml")
            wait_until(lambda: watched(spare) == ({"rec-1", "rec-2"}, ""), "and the one after it", 30)
            assert not (there / "licence.json").exists()
        (here / "licence.json").unlink()
        manager.reload_file(here / "site.toml")
        assert manager.keeper.current.number == 2, "a file that is missing takes nothing away"
    # The management server is dead, and the spare starts: what it has kept counts.
    with Spare(site_in_force(there / "site.toml", "spare-1"), "spare-1") as spare:
        assert watched(spare) == ({"rec-1", "rec-2"}, "")


def test_attached_devices_are_named_at_a_takeover() -> None:
    notice = Noticing().notice(TakenOver("rec-1", ("gate",), 3, ("relay board", "serial line")))
    assert notice is not None
    assert notice.text == "taking over gate of rec-1; not covered: relay board, serial line"
    assert notice.fields["attached"] == ("relay board", "serial line")
