"""site.toml: management, restreaming, hooks, attached devices, licence."""

from __future__ import annotations

from pathlib import Path

import pytest

from fovideo.errors import ConfigError
from fovideo.site import Site, advice, load_site

SMALL = """
[site]
name = "plant"
[[server]]
name = "rec-1"
listen = "127.0.0.1:8750"
store = "rec-1"
restream = "127.0.0.1:8554"
attached = ["serial line of gate 2"]
[[spare]]
name = "spare-1"
listen = "0.0.0.0:8760"
url = "http://10.0.0.9:8760"
restream = "0.0.0.0:8555"
store = "spare-1"
[[camera]]
name = "gate"
server = "rec-1"
url = "rtsp://127.0.0.1:8554/cam0"
"""
MANAGED = """
[[management]]
name = "mgmt"
listen = "127.0.0.1:8700"
folder = "mgmt"
restream = "127.0.0.1:8600"
[[hook]]
command = ["/bin/true", "up"]
on = ["takeover"]
servers = ["rec-1", "mgmt"]
timeout = "5s"
[restream]
user = "wall"
password = "x"
[licence]
file = "licence.json"
public_key = "%s"
"""


def site_of(folder: Path, text: str) -> Site:
    (folder / "site.toml").write_text(text)
    return load_site(folder / "site.toml")


def test_the_roles_of_a_site(tmp_path: Path) -> None:
    site = site_of(tmp_path, SMALL + MANAGED % ("ab" * 32))
    management = site.management("mgmt")
    assert management.folder == str(tmp_path / "mgmt")
    assert management.reached_at == "http://127.0.0.1:8700"
    assert site.server("rec-1").restreams_at == "rtsp://127.0.0.1:8554"
    assert site.spare("spare-1").restreams_at == "rtsp://10.0.0.9:8555"
    assert site.server("rec-1").attached == ("serial line of gate 2",)
    (hook,) = site.hooks
    assert (hook.command, hook.on, hook.timeout_ns) == (("/bin/true", "up"), ("takeover",), 5_000_000_000)
    assert site.licence.file == str(tmp_path / "licence.json")
    assert site.restream.secret_password() == "x"
    said = [problem.what for problem in advice(site)]
    assert any("serial line of gate 2 is attached" in each for each in said)
    assert not any("watch over RTSP" in each for each in said)


def test_everybody_may_watch_is_said(tmp_path: Path) -> None:
    said = {problem.where: problem.what for problem in advice(site_of(tmp_path, SMALL))}
    assert said["spare-1"] == "lets everybody watch over RTSP"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SMALL.replace('"0.0.0.0:8555"', '"8555"'), "restream = '8555'"),
        (SMALL.replace('"0.0.0.0:8555"', '"127.0.0.1:8554"'), "restreams where rec-1 does"),
        (SMALL + "[[hook]]\ncommand = []\n", "command is empty"),
        (SMALL + '[[hook]]\ncommand = ["x"]\nservers = ["rec-9"]\n', "'rec-9' is not in this site"),
        (SMALL + '[[hook]]\ncommand = ["x"]\non = ["start"]\n', "invalid enum value 'start'"),
        (SMALL + '[restream]\nuser = "wall"\n', "a user without a password"),
        (SMALL + '[licence]\nfile = "x"\n', "without the issuer's public_key"),
        (SMALL + '[licence]\npublic_key = "x"\n', "64 hex digits"),
        (SMALL + (MANAGED % ("ab" * 32)).replace("8700", "8750"), "same address as rec-1"),
        (SMALL + (MANAGED % ("ab" * 32)).replace('"mgmt"\nlisten', '"rec-1"\nlisten'), "has this name"),
        (SMALL + MANAGED % ("ab" * 32) + MANAGED.split("[[hook]]")[0], "there are two"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        site_of(tmp_path, text)
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
