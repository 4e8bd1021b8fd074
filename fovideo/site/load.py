"""Reads site.toml: one clear line for everything that is wrong with it."""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from fovideo.decoding import convert
from fovideo.errors import ConfigError, UsageError
from fovideo.site.check import problems
from fovideo.site.check_roles import role_problems
from fovideo.site.fields import Duration, Secret, SourceUrl, Table, parse_listen
from fovideo.site.target import as_target, target_problem
from fovideo.site.values import (
    Arbitration,
    Camera,
    Client,
    Detection,
    Hook,
    Licence,
    Management,
    Place,
    Restream,
    Server,
    Site,
    Spare,
    Tls,
    Webhook,
)
from fovideo.timeline.values import check_stream_name
from fovideo.times import NS_PER_S, parse_bytes, parse_duration_ns

AnyTable = TypeVar("AnyTable", bound=Table)

SOURCE_SCHEMES = ("rtsp", "rtsps", "file")

_PLACEHOLDERS: dict[type[Table], dict[str, Any]] = {
    Camera: {"name": "x", "server": "x", "url": "rtsp://x"},
    Server: {"name": "x", "listen": "x:1", "store": "x"},
    Spare: {"name": "x", "listen": "x:1", "store": "x"},
    Client: {"name": "x", "role": "viewer"},
    Webhook: {"name": "x", "url": "http://x"},
    Management: {"name": "x", "listen": "x:1", "folder": "x"},
    Hook: {"command": ["x"]},
}
_TABLES = (
    *("site", "tls", "client", "detection", "arbitration", "defaults"),
    *("server", "spare", "camera", "webhook", "management", "restream", "hook", "licence"),
)
_NATIVE_WORDS = {
    "`str`": "text",
    "`int`": "a whole number",
    "`bool`": "true or false",
    "`array`": "a list",
    "`object`": "a table",
    "`float`": "a number",
}


def load_site(path: str | Path) -> Site:
    """The site that a file describes, with defaults filled in and relative paths made absolute.

    Raises ConfigError: file, table and key, what is wrong with it, what to do.
    Reads no secret and reaches nothing: a file that only another machine needs may be absent here.
    """
    return site_from(read_text(path), path)


def read_text(path: str | Path) -> str:
    """The text of a site.toml. ConfigError if it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the site: {error.strerror}", where=str(path)) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"not UTF-8 text at byte {error.start}", where=str(path)) from None


def site_from(text: str, path: str | Path, *, licence: str = "") -> Site:
    """As load_site, of a text that stands for the file at that path. licence: as it came with the text."""
    file = Path(path).absolute()
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not TOML: {error}", where=str(path), hint="see docs/ref/site.md") from None
    return msgspec.structs.replace(_Loader(str(path), file).site(raw), licence_text=licence)


class _Identity(Table, frozen=True, kw_only=True):
    """[site]: its name, and the token of every endpoint that has none of its own."""

    name: str
    token: Secret = Secret()
    token_file: str = ""
    token_env: str = ""
    gateways: tuple[str, ...] = ()


class _Loader:
    def __init__(self, shown: str, file: Path) -> None:
        self._shown, self._file, self._folder = shown, file, file.parent

    def site(self, raw: dict[str, Any]) -> Site:
        self._known_keys(raw, _TABLES, "")
        if "site" not in raw:
            raise self._error("", "table [site] is missing", 'begin with [site] and name = "..."')
        identity = self._convert(raw["site"], _Identity, "[site]")
        self._name(identity.name, "[site]")
        token = {
            key: value
            for key, value in self._dict(raw["site"], "[site]").items()
            if key not in ("name", "gateways")
        }
        for gateway in identity.gateways:
            if why := target_problem(as_target(gateway)):
                raise self._error("[site]", f"gateways: {gateway!r}: {why}", "write its address")
        detection = self._dict(raw.get("detection", {}), "[detection]")
        self._convert(detection, Detection, "[detection]")
        tls = self._tls(raw.get("tls", {}))
        arbitration = self._arbitration(raw.get("arbitration", {}))
        defaults = self._dict(raw.get("defaults", {}), "[defaults]")
        self._known_keys(defaults, ("server", "spare", "camera", "webhook"), "[defaults]")

        servers = self._tables(raw, "server", Server, defaults, token, detection)
        spares = self._tables(raw, "spare", Spare, defaults, token)
        cameras = self._tables(raw, "camera", Camera, defaults)
        clients = self._tables(raw, "client", Client, {})
        webhooks = self._tables(raw, "webhook", Webhook, defaults)
        names = [hook.name for hook in webhooks]
        for name in names:
            if names.count(name) > 1:
                raise self._error(
                    f"[[webhook]] {name!r}", "another webhook has this name", "a name is given once"
                )
        managements = self._tables(raw, "management", Management, {}, token, detection)
        hooks = self._tables(raw, "hook", Hook, {})
        restream = self._resolved(
            self._convert(raw.get("restream", {}), Restream, "[restream]"), "[restream]"
        )
        licence = self._convert(raw.get("licence", {}), Licence, "[licence]")
        if licence.file:
            licence = msgspec.structs.replace(
                licence, file=str(self._folder / Path(licence.file).expanduser())
            )
        for problem in (
            *problems(servers, spares, cameras, clients, tls),
            *role_problems(servers, spares, managements, hooks, restream, licence),
        ):
            raise self._error(*problem)
        return Site(
            name=identity.name,
            servers=servers,
            spares=spares,
            cameras=cameras,
            path=self._file,
            tls=tls,
            clients=clients,
            webhooks=webhooks,
            managements=managements,
            restream=restream,
            hooks=hooks,
            licence=licence,
            gateways=identity.gateways,
            arbitration=arbitration,
        )

    def _arbitration(self, raw: object) -> Arbitration:
        where = "[arbitration]"
        table = self._resolved(self._convert(raw, Arbitration, where), where)
        for endpoint in table.etcd:
            try:
                host = urlsplit(endpoint).hostname if "://" in endpoint else ""
            except ValueError:
                host = ""
            if not host or not endpoint.startswith(("http://", "https://")):
                hint = 'like "http://10.0.0.5:2379"'
                raise self._error(where, f"etcd: {endpoint!r} is no endpoint", hint)
        if table.ttl_ns < 3 * NS_PER_S:
            raise self._error(where, "ttl is less than 3 s", "6 s is the default")
        return table

    def _tls(self, raw: object) -> Tls:
        tls = self._convert(raw, Tls, "[tls]")
        paths = {key: getattr(tls, key) for key in ("cert", "key", "ca")}
        full = {key: str(self._folder / Path(path).expanduser()) for key, path in paths.items() if path}
        return msgspec.structs.replace(tls, **full)

    def _tables(
        self,
        raw: dict[str, Any],
        kind: str,
        into: type[AnyTable],
        defaults: dict[str, Any],
        token: dict[str, Any] | None = None,
        detection: dict[str, Any] | None = None,
    ) -> tuple[AnyTable, ...]:
        entries = raw.get(kind, [])
        if not isinstance(entries, list):
            raise self._error(
                f"[{kind}]", "is one table", f"write [[{kind}]] with two brackets: there can be more"
            )
        common = self._dict(defaults.get(kind, {}), f"[defaults.{kind}]")
        for key in _PLACEHOLDERS[into]:
            if key in common:
                raise self._error(
                    f"[defaults.{kind}]", f"key {key!r} has no default", f"give it in each [[{kind}]]"
                )
        self._convert(_PLACEHOLDERS[into] | common, into, f"[defaults.{kind}]")
        tables = []
        for number, entry in enumerate(entries, 1):
            own = self._dict(entry, f"[[{kind}]] {number}")
            where = (
                f"[[{kind}]] {own['name']!r}" if isinstance(own.get("name"), str) else f"[[{kind}]] {number}"
            )
            merged = _with_own_secrets(common | own, own)
            if token and not any(key in merged for key in ("token", "token_file", "token_env")):
                merged |= token
            if detection is not None:
                merged["detection"] = detection | self._dict(
                    merged.get("detection", {}), f"{where}: detection"
                )
            self._name(own.get("name", "x"), where)
            table = self._convert(merged, into, where)
            tables.append(self._resolved(table, where))
        return tuple(tables)

    def _resolved(self, table: AnyTable, where: str) -> AnyTable:
        """The table with paths made absolute, after the checks that concern it alone."""
        changed: dict[str, Any] = {}
        for key in ("store", "folder", "token_file", "password_file", "ca", "cert", "key"):
            if text := getattr(table, key, ""):
                changed[key] = str(self._folder / Path(text).expanduser())
        for prefix in ("token", "password"):
            given = [k for k in (prefix, f"{prefix}_file", f"{prefix}_env") if getattr(table, k, "")]
            if len(given) > 1:
                raise self._error(where, f"{' and '.join(given)} are both given", "keep one of them")
        if isinstance(table, Webhook) and not table.url.startswith(("http://", "https://")):
            raise self._error(where, "url is no http or https URL", 'like "https://alerts.plant/fovideo"')
        if isinstance(table, Camera):
            changed["url"] = self._source(table, where)
            if table.backoff_max_ns < table.backoff_min_ns:
                raise self._error(where, "backoff_max is less than backoff_min", "swap them")
        if isinstance(table, Server) and table.watch and (problem := target_problem(table.watch)):
            hint = "like tcp://10.0.0.7:8000, http://10.0.0.7/, rtsp://10.0.0.7/ or command:/bin/check"
            raise self._error(where, f"watch = {table.watch!r}: {problem}", hint)
        if isinstance(table, Server) and not table.watch:
            for key in ("listen", "store"):
                if not getattr(table, key):
                    raise self._error(where, f"key {key!r} is missing", "it has no default")
        if isinstance(table, Place):
            for key in ("listen", "restream"):
                text = getattr(table, key)
                if not text:
                    continue
                try:
                    parse_listen(text)
                except ValueError as error:
                    raise self._error(where, f"{key} = {text!r}: {error}", 'write "HOST:PORT"') from None
            if table.url and not table.url.startswith(("http://", "https://")):
                raise self._error(
                    where, f"url = {table.url!r} is no http or https URL", 'like "http://rec-1:8750"'
                )
        return msgspec.structs.replace(table, **changed)

    def _source(self, camera: Camera, where: str) -> SourceUrl:
        try:
            parts = urlsplit(camera.url)
        except ValueError as error:
            raise self._error(where, f"url is no URL: {error}") from None
        if parts.scheme in ("rtsp", "rtsps"):
            if not parts.hostname:
                raise self._error(where, "url names no host", "write it like rtsp://10.0.0.7/stream1")
            return camera.url
        if parts.scheme == "file" or "://" not in camera.url:
            path = camera.url.removeprefix("file:").removeprefix("//")
            return SourceUrl(self._folder / Path(path).expanduser())
        known = ", ".join(SOURCE_SCHEMES)
        raise self._error(where, f"url has the scheme {parts.scheme!r}", f"fovideo records {known}")

    def _name(self, name: object, where: str) -> None:
        try:
            check_stream_name(name if isinstance(name, str) else "x")
        except UsageError as error:
            raise self._error(
                where, f"key 'name': {error.what.replace('stream name', 'name')}", error.hint
            ) from None

    def _dict(self, raw: object, where: str) -> dict[str, Any]:
        if not isinstance(raw, dict):
            raise self._error(where, "is not a table")
        return raw

    def _convert(self, raw: object, into: type[AnyTable], where: str) -> AnyTable:
        table = self._dict(raw, where)
        for info in msgspec.structs.fields(into):
            inner = table.get(info.encode_name)
            if inner is not None and isinstance(info.type, type) and issubclass(info.type, Table):
                self._convert(inner, info.type, f"{where}: {info.encode_name}")
        self._known_keys(table, [info.encode_name for info in msgspec.structs.fields(into)], where)
        try:
            return convert(table, into, dec_hook=_decode)
        except msgspec.ValidationError as error:
            raise self._error(where, *_in_words(str(error))) from None

    def _known_keys(self, table: dict[str, Any], known: Iterable[str], where: str) -> None:
        known = list(known)
        for key in table:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
                raise self._error(where, f"unknown key {key!r}" if where else f"unknown table [{key}]", hint)

    def _error(self, where: str, what: str, hint: str = "") -> ConfigError:
        return ConfigError(what, where=f"{self._shown}: {where}" if where else self._shown, hint=hint)


def _with_own_secrets(merged: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """An entry's own way to give a secret replaces the default's, whichever of the three ways each uses."""
    for prefix in ("token", "password"):
        ways = (prefix, f"{prefix}_file", f"{prefix}_env")
        if any(way in own for way in ways):
            merged = {key: value for key, value in merged.items() if key not in ways or key in own}
    return merged


def _decode(kind: type, value: object) -> object:
    if kind in (Secret, SourceUrl):
        if not isinstance(value, str):
            raise ValueError("expected text")
        return kind(value)
    parse: Callable[[str], int] = parse_duration_ns if kind is Duration else parse_bytes
    example = "a duration such as '10s'" if kind is Duration else "a size such as '500GB'"
    if isinstance(value, str):
        return kind(parse(value))
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"expected {example}")
    if value < 0:
        raise ValueError(f"negative: {value}")
    return kind(round(value * NS_PER_S) if kind is Duration else value)


def _in_words(message: str) -> tuple[str, str]:
    """A msgspec message as a clause about a key, and a hint: ("key 'listen' is missing", "")."""
    if missing := re.search(r"missing required field `(.+?)`", message):
        return f"key {missing[1]!r} is missing", "it has no default"
    text, _, path = message.partition(" - at `$.")
    for native, word in _NATIVE_WORDS.items():
        text = text.replace(native, word)
    what, _, hint = text.removesuffix(")").partition(" (") if text.endswith(")") else (text, "", "")
    key = re.sub(r"[.\[`].*", "", path)
    return (f"key {key!r}: {what[:1].lower()}{what[1:]}" if key else what), hint
