"""`fovideo merge --manifest` and `fovideo check --manifest`, as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest
from command import fovideo, fovideo_json, one_line
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from custody_world import flip, inserted_rows, outage
from served import served

from fovideo.store import Store


class Site(NamedTuple):
    spare: Path
    server: Path
    manifest: Path
    key: Path
    public: Path


@pytest.fixture
def site(tmp_path: Path) -> Site:
    for store in outage(tmp_path, sound=False):
        store.close()
    found = Site(*(tmp_path / name for name in ("spare", "server", "m.json", "key.pem", "key.pub.pem")))
    key = Ed25519PrivateKey.generate()
    found.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    found.public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return found


def test_signed_checked_changed(site: Site) -> None:
    done = fovideo("merge", site.spare, site.server, "--manifest", site.manifest, "--sign-key", site.key)
    assert done.returncode == 0, done.stderr
    assert f"manifest {site.manifest}: 1 stretches, 4 GOPs, 40 frames; signed; link " in done.stdout
    link = done.stdout.rstrip().rpartition(" ")[2]

    report = fovideo_json("check", site.server, "--manifest", site.manifest, "--public-key", site.public)
    assert (report["sound"], report["signature"], report["link"]) == (True, "good", link)
    done = fovideo("check", site.server, "--manifest", site.manifest)
    assert done.returncode == 0
    assert "not checked: give --public-key" in done.stdout

    with Store.open(site.server) as server:
        row = inserted_rows(server)[2]
        flip(server.read("gate", row), row.size_bytes - 9)
    at = row.offset + row.size_bytes - 9
    done = fovideo("check", site.server, "--manifest", site.manifest, "--public-key", site.public)
    assert done.returncode == 1
    first, last = done.stdout.splitlines()
    assert f", byte {at}: changed from " in first
    assert last == f"{site.manifest}: NOT as it was merged"
    report = fovideo_json("check", site.server, "--manifest", site.manifest, status=1)
    (change,) = report["changes"]
    assert (change["offset"], change["size"], change["kind"]) == (at, 1, "sample")


def test_a_changed_manifest(site: Site) -> None:
    fovideo("merge", site.spare, site.server, "--manifest", site.manifest)
    text = site.manifest.read_bytes()
    site.manifest.write_bytes(text.replace(b'"lease":0', b'"lease":1', 1))
    done = fovideo("check", site.server, "--manifest", site.manifest)
    assert done.returncode == 1
    assert f"{site.manifest}: line 1: breaks the chain" in done.stdout
    assert "Traceback" not in done.stderr


def test_json_tells_the_manifest_and_the_reasons(site: Site) -> None:
    report = fovideo_json("merge", site.spare, site.server, "--manifest", site.manifest)
    assert report["streams"][0]["still_missing"] == report["streams"][0]["missing"] == []
    manifest = report["manifest"]
    assert (manifest["path"], manifest["frames"], manifest["signed"]) == (str(site.manifest), 40, False)
    assert json.loads(site.manifest.read_text().splitlines()[-1])["link"] == manifest["link"]
    assert "manifest" not in fovideo_json("merge", site.spare, site.server)


def test_each_gap_has_its_reason(site: Site) -> None:
    gap = ("--from", "2026-09-21T14:13:20Z", "--to", "2026-09-21T14:13:24Z")
    done = fovideo("merge", site.spare, site.server, *gap)
    assert done.returncode == 1
    lines = [line for line in done.stdout.splitlines() if "still missing" in line]
    assert [line.rpartition(": ")[2] for line in lines] == ["never recorded"]
    report = fovideo_json("merge", site.spare, site.server, *gap, status=1)
    (missing,) = report["streams"][0]["still_missing"]
    assert missing["reason"] == "never recorded"


def test_against_a_running_server(site: Site) -> None:
    with Store.open(site.server, write=True) as server, served(server, token="t") as http:
        token = {"FOVIDEO_TOKEN": "t"}
        done = fovideo("merge", site.spare, http.url, "--manifest", site.manifest, **token)
        assert done.returncode == 0, done.stderr
        report = fovideo_json("check", http.url, "--manifest", site.manifest, **token)
    assert (report["sound"], report["frames"]) == (True, 40)
    assert fovideo_json("check", site.server, "--manifest", site.manifest)["sound"]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["merge", "spare", "server", "--sign-key", "key.pem"], "--manifest"),
        (["merge", "spare", "server", "--dry-run", "--manifest", "m"], "dry run"),
        (["merge", "spare", "server", "--manifest", "m", "--sign-key", "key.pub.pem"], "not a private key"),
        (["merge", "spare", "server", "--manifest", "key.pem"], "never replaced"),
        (["merge", "spare", "server", "--manifest", "none/m"], "cannot write the manifest"),
        (["check", "server", "--public-key", "key.pub.pem"], "--manifest"),
        (["check", "server", "--repair", "--manifest", "m"], "repaired"),
        (["check", "server", "--manifest", "none"], "cannot be read"),
        (["check", "server", "--manifest", "key.pem"], "not a custody manifest"),
        (["check", "server", "--manifest", "server/store.json"], "not a custody manifest"),
    ],
)
def test_what_cannot_be_is_one_line(site: Site, words: list[str], what: str) -> None:
    folder = site.spare.parent
    names = {"spare", "server", "key.pem", "key.pub.pem", "m", "none", "none/m", "server/store.json"}
    done = fovideo(*(str(folder / word) if word in names else word for word in words))
    assert what in one_line(done)
    assert done.returncode == 2
    with Store.open(site.server) as server:
        assert inserted_rows(server) == []
