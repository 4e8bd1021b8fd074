"""Who may play: Digest (RFC 2069 and RFC 2617 with qop=auth) and Basic authentication."""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
import secrets
import time
from base64 import b64decode
from collections.abc import Callable
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

Scheme: TypeAlias = Literal["digest", "basic"]

_NONCE_LIFE_S = 24 * 3600
_PARAMETER = re.compile(r'([a-zA-Z-]+)\s*=\s*(?:"([^"]*)"|([^",\s]+))')


class Authenticator:
    """Checks requests against one user and password. Holds no state per client.

    clock: seconds, for the age of nonces.
    """

    def __init__(
        self,
        user: str,
        password: str,
        *,
        schemes: tuple[Scheme, ...] = ("digest", "basic"),
        realm: str = "fovideo",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._user, self._password = user, password
        self._schemes, self._realm, self._clock = schemes, realm, clock
        self._secret = secrets.token_bytes(32)

    def __repr__(self) -> str:
        return f"Authenticator(user={self._user!r})"

    def challenges(self, *, stale: bool = False) -> list[tuple[str, str]]:
        """WWW-Authenticate headers, preferred first."""
        headers = []
        for scheme in self._schemes:
            if scheme == "digest":
                parts = f'Digest realm="{self._realm}", nonce="{self._nonce()}", algorithm=MD5, qop="auth"'
                headers.append(("WWW-Authenticate", parts + (", stale=true" if stale else "")))
            else:
                headers.append(("WWW-Authenticate", f'Basic realm="{self._realm}"'))
        return headers

    def allows(self, method: str, url: str, authorization: str | None) -> bool:
        """Whether the Authorization header of a request lets it pass."""
        scheme, _, rest = (authorization or "").partition(" ")
        match scheme.lower():
            case "basic" if "basic" in self._schemes:
                return self._basic(rest)
            case "digest" if "digest" in self._schemes:
                return self._digest(method, url, _parameters(rest))
        return False

    def is_stale(self, authorization: str | None) -> bool:
        """Whether a Digest header fails only for the age of its nonce."""
        age = self._nonce_age(_parameters(authorization or "").get("nonce", ""))
        return age is not None and age > _NONCE_LIFE_S

    def _basic(self, encoded: str) -> bool:
        try:
            text = b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(text, f"{self._user}:{self._password}".encode())

    def _digest(self, method: str, url: str, given: dict[str, str]) -> bool:
        if given.get("algorithm", "MD5").upper() != "MD5" or not self._fresh(given.get("nonce", "")):
            return False
        uri = given.get("uri", "")
        if _path(uri) != _path(url) or given.get("realm") != self._realm:
            return False
        secret = _md5(f"{self._user}:{self._realm}:{self._password}")
        action = _md5(f"{method}:{uri}")
        if given.get("qop") == "auth":
            middle = f"{given['nonce']}:{given.get('nc', '')}:{given.get('cnonce', '')}:auth"
        else:
            middle = given["nonce"]
        expected = _md5(f"{secret}:{middle}:{action}")
        same_user = _same(given.get("username", ""), self._user)
        return _same(expected, given.get("response", "").lower()) and same_user

    def _nonce(self) -> str:
        made = f"{int(self._clock()):x}"
        return f"{made}.{self._seal(made)}"

    def _seal(self, made: str) -> str:
        return hmac.new(self._secret, made.encode(), hashlib.sha256).hexdigest()[:32]

    def _nonce_age(self, nonce: str) -> float | None:
        made, _, seal = nonce.partition(".")
        if not re.fullmatch("[0-9a-f]{1,15}", made) or not _same(seal, self._seal(made)):
            return None
        return self._clock() - int(made, 16)

    def _fresh(self, nonce: str) -> bool:
        age = self._nonce_age(nonce)
        return age is not None and age <= _NONCE_LIFE_S


def _parameters(text: str) -> dict[str, str]:
    return {match[1].lower(): match[2] or match[3] or "" for match in _PARAMETER.finditer(text)}


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _path(url: str) -> str:
    try:
        return urlsplit(url).path.rstrip("/")
    except ValueError:
        return url
