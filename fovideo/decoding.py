"""Reading typed JSON and MessagePack, from any thread.

msgspec learns what a Struct is made of when it is first read. A second thread that reads one meanwhile sees
half of that, and the process dies. So it is learned here, under one lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar, overload

import msgspec

_T = TypeVar("_T")
_lock = threading.RLock()
_decoders: dict[tuple[Any, Any], Any] = {}


@overload
def json_decoder(kind: type[_T]) -> msgspec.json.Decoder[_T]: ...


@overload
def json_decoder(kind: Any) -> msgspec.json.Decoder[Any]: ...


def json_decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """A decoder of JSON that makes a `kind`."""
    decoder: msgspec.json.Decoder[Any] = _decoder(msgspec.json.Decoder, kind)
    return decoder


@overload
def msgpack_decoder(kind: type[_T]) -> msgspec.msgpack.Decoder[_T]: ...


@overload
def msgpack_decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]: ...


def msgpack_decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    """A decoder of MessagePack that makes a `kind`."""
    decoder: msgspec.msgpack.Decoder[Any] = _decoder(msgspec.msgpack.Decoder, kind)
    return decoder


def from_json(data: bytes | str, kind: type[_T]) -> _T:
    """A `kind` from JSON. Raises msgspec.MsgspecError, and UnicodeDecodeError for what is no UTF-8."""
    return json_decoder(kind).decode(data)


def from_msgpack(data: bytes | memoryview, kind: type[_T]) -> _T:
    """A `kind` from MessagePack. Raises msgspec.MsgspecError."""
    return msgpack_decoder(kind).decode(data)


def convert(plain: object, kind: type[_T], *, dec_hook: Callable[[type[Any], Any], Any] | None = None) -> _T:
    """A `kind` from dicts, lists and what stands in them. Raises msgspec.MsgspecError."""
    json_decoder(kind)
    return msgspec.convert(plain, kind, dec_hook=dec_hook)


def _decoder(maker: Any, kind: Any) -> Any:
    found = _decoders.get((maker, kind))
    if found is None:
        with _lock:
            found = _decoders[maker, kind] = maker(kind)
    return found
