"""Answers to a camera's question who asks: Digest (RFC 2069, 2617, 7616) and Basic."""

from __future__ import annotations

import hashlib
import re
import secrets
from base64 import b64encode
from collections.abc import Callable, Iterable

from fovideo.camera.config import Credentials

_PARAMETER = re.compile(r'([a-zA-Z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^",\s]+))')
_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
_BEST = ("SHA-256", "SHA-256-SESS", "MD5", "MD5-SESS", "BASIC")


class Authorizer:
    """Holds the credentials of one connection; they leave it as a header only, and its repr shows nothing."""

    def __init__(
        self, credentials: Credentials, *, client_nonce: Callable[[], str] = lambda: secrets.token_hex(8)
    ) -> None:
        self._credentials, self._client_nonce = credentials, client_nonce
        self._kind = ""
        self._asked: dict[str, str] = {}
        self._count = 0

    def challenge(self, headers: Iterable[str]) -> bool:
        """Take the WWW-Authenticate headers of a refusal. False when there is nothing to answer them with."""
        known = {}
        for header in headers:
            scheme, _, rest = header.strip().partition(" ")
            asked = {match[1].lower(): match[2] or match[3] or "" for match in _PARAMETER.finditer(rest)}
            if scheme.lower() == "basic":
                known["BASIC"] = asked
            elif scheme.lower() == "digest" and asked.get("nonce"):
                known[asked.get("algorithm", "MD5").upper()] = asked
        kind = next((kind for kind in _BEST if kind in known), "")
        if not kind or not self._credentials:
            return False
        self._kind, self._asked, self._count = kind, known[kind], 0
        return True

    @property
    def is_stale(self) -> bool:
        """The last refusal was about the age of a nonce, not about the credentials."""
        return self._asked.get("stale", "").lower() == "true"

    def header(self, method: str, url: str) -> str:
        """Authorization header for a request, "" while nothing was asked."""
        if not self._kind:
            return ""
        user, password = self._credentials.user, self._credentials.password
        if self._kind == "BASIC":
            return "Basic " + b64encode(f"{user}:{password}".encode()).decode()
        return self._digest(method, url, user, password)

    def _digest(self, method: str, url: str, user: str, password: str) -> str:
        asked, algorithm = self._asked, self._kind.removesuffix("-SESS")
        realm, nonce = asked.get("realm", ""), asked["nonce"]
        self._count += 1
        count, client_nonce = f"{self._count:08x}", self._client_nonce()

        def digest(text: str) -> str:
            return _HASHES[algorithm](text.encode(), usedforsecurity=False).hexdigest()

        secret = digest(f"{user}:{realm}:{password}")
        if self._kind.endswith("-SESS"):
            secret = digest(f"{secret}:{nonce}:{client_nonce}")
        action = digest(f"{method}:{url}")
        fields = [f'username="{_quoted(user)}"', f'realm="{realm}"', f'nonce="{nonce}"', f'uri="{url}"']
        if "auth" in [each.strip() for each in asked.get("qop", "").split(",")]:
            response = digest(f"{secret}:{nonce}:{count}:{client_nonce}:auth:{action}")
            fields += ["qop=auth", f"nc={count}", f'cnonce="{client_nonce}"']
        else:
            response = digest(f"{secret}:{nonce}:{action}")
            if self._kind.endswith("-SESS"):
                fields.append(f'cnonce="{client_nonce}"')
        fields.append(f'response="{response}"')
        if "algorithm" in asked:
            fields.append(f"algorithm={asked['algorithm']}")
        if "opaque" in asked:
            fields.append(f'opaque="{asked["opaque"]}"')
        return "Digest " + ", ".join(fields)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
