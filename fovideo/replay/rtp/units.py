"""NAL units into RTP payloads: what H.264 (RFC 6184) and H.265 (RFC 7798) have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

_START, _END = 0x80, 0x40


class Form(NamedTuple):
    """How a codec's units are carried.

    header_bytes: of a NAL unit, and of an aggregation packet. is_vcl: such a unit has a packet of its own.
    aggregate: header of a packet of several units. fragment: header of the fragments of a unit, and its type.
    """

    header_bytes: int
    is_vcl: Callable[[bytes], bool]
    aggregate: Callable[[Sequence[bytes]], bytes]
    fragment: Callable[[bytes], tuple[bytes, int]]


def split(form: Form, nals: Sequence[bytes], limit: int) -> list[bytes]:
    """Payloads of at most `limit` bytes (>= 16) with the NAL units in order. Stumps are left out."""
    out: list[bytes] = []
    small: list[bytes] = []
    room = limit - form.header_bytes
    for nal in nals:
        if len(nal) < form.header_bytes:
            continue
        cost = len(nal) + 2
        if form.is_vcl(nal) or cost > room:
            _flush(form, out, small)
            room = limit - form.header_bytes
        if form.is_vcl(nal) or cost > room:
            out += [nal] if len(nal) <= limit else _fragments(form, nal, limit)
        else:
            small.append(nal)
            room -= cost
    _flush(form, out, small)
    return out


def _flush(form: Form, out: list[bytes], small: list[bytes]) -> None:
    if len(small) == 1:
        out.append(small[0])
    elif small:
        units = b"".join(len(nal).to_bytes(2, "big") + nal for nal in small)
        out.append(form.aggregate(small) + units)
    small.clear()


def _fragments(form: Form, nal: bytes, limit: int) -> list[bytes]:
    header, kind = form.fragment(nal)
    first, step = form.header_bytes, limit - form.header_bytes - 1
    out = []
    for at in range(first, len(nal), step):
        edge = (_START if at == first else 0) | (_END if at + step >= len(nal) else 0)
        out.append(header + bytes((edge | kind,)) + nal[at : at + step])
    return out
