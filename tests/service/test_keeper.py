"""A process's copy of the configuration: newest wins, mode 600, and what is damaged is passed over."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from fovideo.errors import PeerUnauthorized
from fovideo.service.keeper import Keeper, kept_folder, site_in_force
from fovideo.service.management_routes import check_secrets
from fovideo.site.version import Version, digest

SITE = """
[site]
name = "plant"
[[management]]
name = "mgmt"
listen = "127.0.0.1:1"
folder = "mgmt"
[[server]]
name = "rec-1"
listen = "127.0.0.1:2"
store = "rec-1"
"""
CAMERA = '[[camera]]\nname = "gate"\nserver = "rec-1"\nurl = "rtsp://10.0.0.1/1"\n'


def version(number: int, text: str = "x") -> Version:
    return Version(number=number, hash=digest(text), text=text, by="mgmt")


def test_the_newest_is_kept_and_found_again(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "kept")
    assert keeper.current is None
    assert keeper.offer(version(2))
    assert not keeper.offer(version(1))
    assert not keeper.offer(version(2))
    assert keeper.offer(version(3, "y"))
    assert Keeper(tmp_path / "kept").current == version(3, "y")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "kept").iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o700


def test_what_is_damaged_is_passed_over(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    keeper.offer(version(1))
    keeper.offer(version(2, "y"))
    newest = max(tmp_path.glob("version-*.json"))
    newest.write_bytes(newest.read_bytes()[:-20])
    assert Keeper(tmp_path).current == version(1)
    lying = Version(number=9, hash=digest("y"), text="z")
    assert not Keeper(tmp_path).offer(lying)


def test_old_ones_are_removed(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    for number in range(1, 61):
        keeper.offer(version(number, str(number)))
    assert len(list(tmp_path.glob("version-*.json"))) == 50
    assert Keeper(tmp_path).current == version(60, "60")


def test_a_disk_that_takes_nothing_does_not_matter_now(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    keeper = Keeper(tmp_path / "file")
    assert keeper.offer(version(1))
    assert keeper.current == version(1)


def test_leases_and_hashes_are_remembered(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    assert (keeper.lease, keeper.seen_hash) == (0, "")
    keeper.note_lease(4)
    keeper.saw("abc")
    assert (Keeper(tmp_path).lease, Keeper(tmp_path).seen_hash) == (4, "abc")


def test_a_server_starts_with_what_it_kept(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(SITE)
    assert site_in_force(path, "rec-1").cameras == ()
    store = site_in_force(path, "rec-1").server("rec-1").store
    Keeper(kept_folder(store)).offer(version(2, SITE + CAMERA))
    assert [camera.name for camera in site_in_force(path, "rec-1").cameras] == ["gate"]
    Keeper(kept_folder(store)).offer(version(3, "[sight]"))
    assert site_in_force(path, "rec-1").cameras == (), "a copy that cannot be used is passed over"


def test_without_a_manager_the_file_alone_counts(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(SITE.replace("[[management]]", "[[server]]").replace('folder = "mgmt"', 'store = "m"'))
    Keeper(kept_folder(str(tmp_path / "rec-1"))).offer(version(2, SITE + CAMERA))
    assert site_in_force(path, "rec-1").cameras == ()


@pytest.mark.parametrize("line", ['token = "x"', '  password="x"', 'url = "rtsp://viewer:hush@10.0.0.1/1"'])
def test_secrets_are_not_handed_to_strangers(line: str) -> None:
    with pytest.raises(PeerUnauthorized, match="holds secrets"):
        check_secrets(f"[site]\n{line}\n", guarded=False)
    check_secrets(f"[site]\n{line}\n", guarded=True)
    check_secrets('token_file = "x"\nurl = "rtsp://10.0.0.1:554/1"\n', guarded=False)
