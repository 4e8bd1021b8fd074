"""RFC 6184, mode 1: single NAL unit packets, STAP-A for small non-VCL units, FU-A for large ones."""

from __future__ import annotations

from collections.abc import Sequence

_STAP_A, _FU_A = 24, 28
_START, _END = 0x80, 0x40


def is_vcl(nal: bytes) -> bool:
    return 1 <= nal[0] & 0x1F <= 5


def split(nals: Sequence[bytes], limit: int) -> list[bytes]:
    """Payloads of at most `limit` bytes (>= 16) with the NAL units in order. Empty units are left out."""
    out: list[bytes] = []
    small: list[bytes] = []
    room = limit - 1
    for nal in nals:
        if not nal:
            continue
        cost = len(nal) + 2
        if is_vcl(nal) or cost > room:
            _flush(out, small)
            room = limit - 1
        if is_vcl(nal) or cost > room:
            out += [nal] if len(nal) <= limit else _fragments(nal, limit)
        else:
            small.append(nal)
            room -= cost
    _flush(out, small)
    return out


def _flush(out: list[bytes], small: list[bytes]) -> None:
    if len(small) == 1:
        out.append(small[0])
    elif small:
        forbidden = max(nal[0] & 0x80 for nal in small)
        importance = max(nal[0] & 0x60 for nal in small)
        units = b"".join(len(nal).to_bytes(2, "big") + nal for nal in small)
        out.append(bytes((forbidden | importance | _STAP_A,)) + units)
    small.clear()


def _fragments(nal: bytes, limit: int) -> list[bytes]:
    indicator, kind = (nal[0] & 0xE0) | _FU_A, nal[0] & 0x1F
    step = limit - 2
    out = []
    for at in range(1, len(nal), step):
        edge = (_START if at == 1 else 0) | (_END if at + step >= len(nal) else 0)
        out.append(bytes((indicator, edge | kind)) + nal[at : at + step])
    return out
