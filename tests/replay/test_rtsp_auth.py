"""Authentication: the two RFCs' digests and Basic; secrets stay inside."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovideo.replay.rtsp.auth import Authenticator

URL = "rtsp://127.0.0.1:8554/cam"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def digest(
    challenge: str, *, user: str = "u", password: str = "p", method: str = "PLAY", qop: bool = True
) -> str:
    realm, nonce = (re.search(f'{name}="([^"]*)"', challenge)[1] for name in ("realm", "nonce"))  # type: ignore[index]
    secret, action = md5(f"{user}:{realm}:{password}"), md5(f"{method}:{URL}")
    text = f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{URL}"'
    if qop:
        response = md5(f"{secret}:{nonce}:00000001:abc:auth:{action}")
        return text + f', qop=auth, nc=00000001, cnonce="abc", response="{response}"'
    return text + f', response="{md5(f"{secret}:{nonce}:{action}")}"'


@pytest.fixture
def guard() -> Authenticator:
    return Authenticator("u", "p")


@pytest.mark.parametrize("qop", [True, False])
def test_digest(guard: Authenticator, qop: bool) -> None:
    challenge = guard.challenges()[0][1]
    assert guard.allows("PLAY", URL, digest(challenge, qop=qop))
    assert guard.allows("PLAY", URL + "/", digest(challenge, qop=qop))
    assert not guard.allows("PAUSE", URL, digest(challenge, qop=qop))
    assert not guard.allows("PLAY", URL + "2", digest(challenge, qop=qop))
    assert not guard.allows("PLAY", URL, digest(challenge, qop=qop, password="q"))
    assert not guard.allows("PLAY", URL, digest(challenge, qop=qop, user="v"))


def test_basic(guard: Authenticator) -> None:
    assert guard.allows("PLAY", URL, "Basic " + b64encode(b"u:p").decode())
    for wrong in (b"u:q", b"v:p", b"", b"u"):
        assert not guard.allows("PLAY", URL, "Basic " + b64encode(wrong).decode())
    assert not guard.allows("PLAY", URL, "Basic ***")


def test_only_the_offered_schemes_count() -> None:
    guard = Authenticator("u", "p", schemes=("digest",))
    assert [value.split()[0] for _, value in guard.challenges()] == ["Digest"]
    assert not guard.allows("PLAY", URL, "Basic " + b64encode(b"u:p").decode())


def test_nonces_age_and_other_servers_nonces_are_worthless() -> None:
    clock = Clock()
    guard = Authenticator("u", "p", clock=clock)
    given = digest(guard.challenges()[0][1])
    assert guard.allows("PLAY", URL, given)
    assert not guard.is_stale(given)
    clock.now += 100_000
    assert not guard.allows("PLAY", URL, given)
    assert guard.is_stale(given)
    assert "stale=true" in guard.challenges(stale=True)[0][1]
    foreign = digest(Authenticator("u", "p", clock=clock).challenges()[0][1])
    assert not guard.allows("PLAY", URL, foreign)
    assert not guard.is_stale(foreign)


@given(st.none() | st.text(max_size=60), st.text(max_size=60))
def test_garbage_is_no_key(header: str | None, rest: str) -> None:
    guard = Authenticator("u", "p")
    assert not guard.allows("PLAY", URL, header)
    assert not guard.allows("PLAY", URL, "Digest " + rest)
    assert not guard.allows("PLAY", URL, "Basic " + rest)


def test_the_password_is_not_shown(guard: Authenticator) -> None:
    assert "'p'" not in repr(guard)
