"""Licences: what is signed, what it allows, and that a doubt takes nothing away."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command import fovideo, fovideo_json
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from fovideo.errors import LicenceError, UsageError
from fovideo.licence import (
    GRACE_NS,
    WARN_NS,
    Terms,
    Verdict,
    coverage,
    coverage_of,
    judge,
    licence_problems,
    make_licence,
    read_licence,
)
from fovideo.site import Site, site_from
from fovideo.times import format_ns, parse_ns

KEY = Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key().public_bytes_raw().hex()
EXPIRES_NS = parse_ns("2027-06-30T00:00:00Z")
SITE = """
[site]
name = "plant"
[[server]]
name = "rec-1"
listen = "127.0.0.1:1"
store = "a"
[[server]]
name = "rec-2"
listen = "127.0.0.1:2"
store = "b"
[[spare]]
name = "spare-1"
listen = "127.0.0.1:3"
store = "c"
"""


def terms(**changes: object) -> Terms:
    settings: dict[str, object] = {
        "number": "L-1",
        "holder": "Plant Inc.",
        "site": "plant",
        "edition": "premium",
        "camera_failover": 5,
    }
    return Terms(**(settings | changes))  # type: ignore[arg-type]


def verdict(licence: Terms | None, now_ns: int = 0, error: str = "") -> Verdict:
    return judge("plant", {"rec-1": 3, "rec-2": 2}, licence, error, now_ns)


def test_without_a_licence_everything_is_allowed() -> None:
    assert verdict(None) == Verdict(covered=("rec-1", "rec-2"), needed=5)


def test_editions() -> None:
    assert verdict(terms()).covered == ("rec-1", "rec-2")
    assert verdict(terms()).problems == ()
    bare = verdict(terms(edition="professional"))
    assert bare.covered == ()
    assert "needs the failover base licence" in bare.problems[0]
    assert verdict(terms(edition="professional", failover_base=True)).covered == ("rec-1", "rec-2")


def test_a_server_short_of_licences_is_not_failed_over() -> None:
    short = verdict(terms(camera_failover=4))
    assert short.covered == ("rec-1",)
    assert "rec-2 is not failed over: it has 2 cameras, and 1 of the 4" in short.problems[0]
    assert "needs 5 camera failover licences" in short.problems[1]
    assert verdict(terms(camera_failover=2)).covered == ("rec-2",)
    assert verdict(terms(camera_failover=0)).covered == ()


def test_time() -> None:
    licence = terms(expires=format_ns(EXPIRES_NS))
    assert verdict(licence, EXPIRES_NS - WARN_NS - 1).problems == ()
    soon = verdict(licence, EXPIRES_NS - WARN_NS // 2)
    assert (len(soon.covered), "in 30 days" in soon.problems[0]) == (2, True)
    grace = verdict(licence, EXPIRES_NS + 1)
    assert (len(grace.covered), "failed over until" in grace.problems[0]) == (2, True)
    over = verdict(licence, EXPIRES_NS + GRACE_NS)
    assert (over.covered, "no server is failed over" in over.problems[0]) == ((), True)


def test_another_site() -> None:
    assert verdict(terms(site="mill")).covered == ()


def test_a_doubt_takes_nothing_away() -> None:
    doubtful = verdict(None, error="the licence cannot be read")
    assert doubtful.covered == ("rec-1", "rec-2")
    assert "cannot be read" in doubtful.problems[0]


@given(st.dictionaries(st.text(min_size=1), st.integers(0, 9), max_size=6), st.integers(0, 40))
def test_never_more_cameras_than_licences_and_all_servers_if_they_suffice(
    cameras: dict[str, int], licences: int
) -> None:
    found = judge("plant", cameras, terms(camera_failover=licences), "", 0)
    assert sum(cameras[name] for name in found.covered) <= licences
    left = licences - sum(cameras[name] for name in found.covered)
    assert all(cameras[name] > left for name in cameras if name not in found.covered)
    assert bool(found.problems) == (len(found.covered) < len(cameras))


@given(st.integers(0, 99), st.booleans(), st.sampled_from(["", "2027-06-30T00:00:00Z"]))
def test_what_is_signed_is_what_is_read(cameras: int, base: bool, expires: str) -> None:
    made = terms(camera_failover=cameras, failover_base=base, expires=expires)
    assert read_licence(make_licence(made, KEY), PUBLIC) == made


def changed(change: Callable[[dict[str, str]], object]) -> bytes:
    file = json.loads(make_licence(terms(), KEY))
    change(file)
    return json.dumps(file).encode()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (changed(lambda file: file.update(terms=file["terms"].replace("5", "500"))), "did not sign"),
        (changed(lambda file: file.update(terms=file["terms"] + " ")), "did not sign"),
        (changed(lambda file: file.update(signature="00" * 64)), "did not sign"),
        (changed(lambda file: file.update(signature="x")), "did not sign"),
        (changed(lambda file: file.update(format="other")), "not a licence file but 'other'"),
        (changed(lambda file: file.pop("terms")), "not a licence file"),
        (b"", "not a licence file"),
        (b"\xff\xfe", "not a licence file"),
    ],
)
def test_what_was_changed_is_found(data: bytes, said: str) -> None:
    with pytest.raises(LicenceError, match=said):
        read_licence(data, PUBLIC, where="licence.json")


@given(st.binary(max_size=300))
def test_garbage_is_one_error(data: bytes) -> None:
    with pytest.raises(LicenceError):
        read_licence(data, PUBLIC)


def test_another_key() -> None:
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()
    with pytest.raises(LicenceError, match="did not sign"):
        read_licence(make_licence(terms(), KEY), other)
    with pytest.raises(UsageError):
        make_licence(terms(expires="tomorrow"), KEY)


def licensed(folder: Path, data: bytes | None, key: str = PUBLIC) -> Site:
    if data is not None:
        (folder / "licence.json").write_bytes(data)
    camera = '[[camera]]\nname = "c%d"\nserver = "rec-%d"\nurl = "rtsp://10.0.0.7/1"\n'
    text = SITE + "".join(camera % (number, 1 + number // 3) for number in range(5))
    text += f'[licence]\nfile = "licence.json"\npublic_key = "{key}"\n'
    (folder / "site.toml").write_text(text)
    return site_from(text, folder / "site.toml")


def test_the_licence_of_a_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = licensed(tmp_path, None)
    (problem,) = licence_problems(site, 0)
    assert "cannot be read: No such file" in problem.what
    assert coverage_of(site, 0).covers("rec-2")
    site = licensed(tmp_path, make_licence(terms(camera_failover=3), KEY))
    found = coverage_of(site, 0)
    assert (found.covers("rec-1"), found.covers("rec-2")) == (True, False)
    assert "rec-2 is not failed over" in found.said
    monkeypatch.setattr(coverage, "ISSUER_KEY", "ab" * 32)
    assert "did not sign" in coverage_of(site, 0).said, "an embedding application's key overrules the site's"


def test_issuing_and_checking_as_commands(tmp_path: Path) -> None:
    pem, file = tmp_path / "issuer.pem", tmp_path / "licence.json"
    public = fovideo("licence", "key", pem).stdout.strip()
    assert fovideo("licence", "key", pem).stdout.strip() == public
    assert pem.stat().st_mode & 0o777 == 0o600
    options = ["--site", "plant", "--holder", "Plant Inc.", "--number", "L-7", "--edition", "professional"]
    options += ["--failover-base", "--cameras", "3", "--expires", "2099-01-01T00:00:00Z", "-o", str(file)]
    done = fovideo("licence", "make", pem, *options)
    assert done.returncode == 0, done.stderr
    licensed(tmp_path, None, public)
    report = fovideo_json("licence", "check", tmp_path / "site.toml", status=1)
    assert (report["covered"], report["not_covered"]) == (["rec-1"], ["rec-2"])
    assert (report["cameras"], report["licensed"]) == (5, 3)
    said = fovideo("licence", "check", tmp_path / "site.toml")
    assert "licence L-7 of Plant Inc.: professional, 3 cameras, until 2099-01-01" in said.stdout
