"""Leases in an etcd cluster, over its JSON gateway (extra: fovideo[etcd])."""

from __future__ import annotations

import base64
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec

from fovideo.decoding import from_json
from fovideo.errors import ConfigError
from fovideo.failover.numbers import following
from fovideo.lease.values import Claim, LeasesAway
from fovideo.times import NS_PER_S

SHARE_OF_TTL = 3
"""A call takes at most this part of a claim's time, whatever the members do, so it can be kept."""


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach a cluster. endpoints: http(s)://HOST:PORT. Files are PEM. password never shows."""

    endpoints: tuple[str, ...]
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"Access({', '.join(self.endpoints)})"


class _Value(msgspec.Struct, frozen=True):
    """What is stored under a claim's key."""

    number: int
    cameras: tuple[str, ...] = ()


class EtcdLeases:
    """Claims of one holder. One etcd lease carries all of them; it ends ttl_ns after the last `keep`.

    Keys, under the prefix: claim/ROLE/HOLDER, number/ROLE (the highest number given). A claim and its number
    are one transaction that is refused if anybody claimed the role since the last look.
    """

    def __init__(
        self,
        access: Access,
        holder: str,
        *,
        prefix: str,
        ttl_ns: int,
        slot: int = 0,
        step: int = 1,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """ConfigError if the client library is not installed, or an endpoint or a file cannot be used."""
        self._holder, self._slot, self._step = holder, slot, step
        self._prefix = prefix.rstrip("/") + "/"
        self._ttl_s = max(round(ttl_ns / NS_PER_S), 2)
        self._now_ns = monotonic_ns
        self._members = [_Member(access, e, self._ttl_s) for e in access.endpoints]
        self._first = 0
        self._session = 0
        self._claims: dict[str, Claim] = {}
        self._seen: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def look(self) -> tuple[Claim, ...]:
        pairs = self._range(self._prefix)
        claims, seen = [], {}
        for key, value, revision in pairs:
            kind, _, rest = key.removeprefix(self._prefix).partition("/")
            if kind == "number" and value.isdigit():
                seen[rest] = (int(value), revision)
            elif kind == "claim":
                role, _, holder = rest.rpartition("/")
                with contextlib.suppress(msgspec.MsgspecError):
                    found = from_json(value, _Value)
                    claims.append(Claim(role, holder, found.number, found.cameras))
        self._seen = seen
        return tuple(claims)

    def take(
        self, role: str, cameras: tuple[str, ...] = (), *, number: int = 0, above: int = 0
    ) -> Claim | None:
        highest, revision = self._seen.get(role, (0, 0))
        if not number:
            number = following(max(above, highest), self._slot, self._step)
        with self._lock:
            if not self._session:
                self._session = self._grant()
            session = self._session
        counter = f"{self._prefix}number/{role}"
        claim = Claim(role, self._holder, number, cameras)
        body = msgspec.json.encode(_Value(number, cameras))
        same = {"key": _b64(counter), "target": "MOD", "result": "EQUAL", "mod_revision": revision}
        puts = [_put(counter, b"%d" % max(number, highest)), _put(self._key(role), body, session)]
        try:
            answer = self._ask("/kv/txn", {"compare": [same], "success": puts, "failure": []})
        except LeasesAway as error:
            if "lease not found" in error.hint:
                self._session = 0  # the next attempt begins with a new one
            raise
        if not answer.get("succeeded"):
            return None
        revision = int(answer["header"]["revision"])
        self._seen[role] = (max(number, highest), revision)
        self._claims[role] = claim
        return claim

    def drop(self, role: str) -> None:
        self._claims.pop(role, None)
        self._ask("/kv/deleterange", {"key": _b64(self._key(role))})

    def keep(self) -> bool:
        if not self._session:
            return True
        answer = self._ask("/lease/keepalive", {"ID": self._session})
        if int(answer.get("result", {}).get("TTL", -1)) > 0:
            return True
        self._session = 0
        self._claims.clear()
        return False

    def close(self) -> None:
        """Also ends the etcd lease, so that nobody has to wait for its time to pass; if a member answers."""
        session, self._session = self._session, 0
        if session:
            with contextlib.suppress(LeasesAway):
                self._ask("/lease/revoke", {"ID": session})
        for member in self._members:
            member.close()

    def _key(self, role: str) -> str:
        return f"{self._prefix}claim/{role}/{self._holder}"

    def _grant(self) -> int:
        return int(self._ask("/lease/grant", {"TTL": self._ttl_s, "ID": 0})["ID"])

    def _range(self, prefix: str) -> Iterator[tuple[str, bytes, int]]:
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        answer = self._ask("/kv/range", {"key": _b64(prefix), "range_end": _b64(end)})
        for pair in answer.get("kvs", ()):
            key = base64.b64decode(pair["key"]).decode("utf-8", "replace")
            yield key, base64.b64decode(pair.get("value", "")), int(pair["mod_revision"])

    def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask one member after the other, beginning with the one that answered last. LeasesAway."""
        deadline_ns = self._now_ns() + self._ttl_s * NS_PER_S // SHARE_OF_TTL
        reasons = []
        for turn in range(len(self._members)):
            number = (self._first + turn) % len(self._members)
            left_ns = deadline_ns - self._now_ns()
            if left_ns <= 0:
                break
            member = self._members[number]
            # Every member that has not been asked yet gets its part of the time that is left.
            timeout_s = left_ns / (len(self._members) - turn) / NS_PER_S
            try:
                answer = member.ask(path, body, timeout_s)
            except LeasesAway as error:
                reasons.append(str(error))
                continue
            self._first = number
            return answer
        raise LeasesAway("no member of the etcd cluster answers", hint="; ".join(dict.fromkeys(reasons)))


class _Member:
    """One endpoint, through etcd3gw."""

    def __init__(self, access: Access, endpoint: str, ttl_s: int) -> None:
        try:
            import requests
            from etcd3gw.client import Etcd3Client
            from etcd3gw.exceptions import Etcd3Exception
        except ImportError:
            raise ConfigError(
                "the client for etcd is not installed", hint="pip install 'fovideo[etcd]'"
            ) from None
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"not an endpoint of etcd: {endpoint!r}", hint="like http://10.0.0.5:2379")
        session = requests.Session()
        session.trust_env = False
        if access.ca_file:
            session.verify = access.ca_file
        if access.cert_file:
            session.cert = (access.cert_file, access.key_file or access.cert_file)
        self.endpoint, self._access, self._session = endpoint, access, session
        self._failures = (Etcd3Exception, requests.exceptions.RequestException, OSError, ValueError, KeyError)
        self._client = Etcd3Client(
            host=parts.hostname,
            port=parts.port or 2379,
            protocol=parts.scheme,
            api_path="/v3/",
            session=session,
            timeout=ttl_s,
        )

    def ask(self, path: str, body: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """LeasesAway, whatever goes wrong."""
        self._client.timeout = timeout_s
        fresh = False
        while True:
            try:
                if self._access.user and "Authorization" not in self._session.headers:
                    self._log_in()
                    fresh = True
                answer: dict[str, Any] = self._client.post(self._client.get_url(path), json=body)
                return answer
            except self._failures as error:
                # A token lives for some minutes only, and not beyond a restart of the member.
                if self._session.headers.pop("Authorization", None) and not fresh and _is_token(error):
                    continue
                raise LeasesAway(f"{self.endpoint}: {_in_words(error)}") from None

    def _log_in(self) -> None:
        answer = self._client.post(
            self._client.get_url("/auth/authenticate"),
            json={"name": self._access.user, "password": self._access.password},
        )
        self._session.headers["Authorization"] = answer["token"]

    def close(self) -> None:
        self._session.close()


def _put(key: str, value: bytes, session: int = 0) -> dict[str, Any]:
    put: dict[str, Any] = {"key": _b64(key), "value": base64.b64encode(value).decode()}
    if session:
        put["lease"] = session
    return {"request_put": put}


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _is_token(error: BaseException) -> bool:
    said = f"{error} {getattr(error, 'detail_text', '')}".lower()
    return "token" in said or "unauthenticated" in said


def _in_words(error: BaseException) -> str:
    """One line that holds no secret: what the member said, or what the connection did."""
    detail = str(getattr(error, "detail_text", "") or "")
    try:
        said = from_json(detail.encode() or b"{}", dict[str, Any])
        detail = str(said.get("message") or said.get("error") or detail)
    except msgspec.MsgspecError:
        pass
    kind, told = type(error).__name__, f"{error} {detail}"
    if "CERTIFICATE_VERIFY_FAILED" in told:
        return "its certificate is not signed by an authority that is trusted here (set ca_file)"
    if "SSL" in kind or "SSLError" in told:
        return "no TLS connection (does it want a certificate?)"
    if "Timeout" in kind:
        return "no answer in time"
    if "Connection" in kind:
        return "no connection"
    return (detail or kind).splitlines()[0][:200]
