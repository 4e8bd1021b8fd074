"""RFC 7798 without DONL: single NAL unit packets, AP for small non-VCL units, FU for large ones."""

from __future__ import annotations

from collections.abc import Sequence

_AP, _FU = 48, 49
_START, _END = 0x80, 0x40


def is_vcl(nal: bytes) -> bool:
    return nal[0] >> 1 & 0x3F < 32


def split(nals: Sequence[bytes], limit: int) -> list[bytes]:
    """Payloads of at most `limit` bytes (>= 16) with the NAL units in order. Stumps are left out."""
    out: list[bytes] = []
    small: list[bytes] = []
    room = limit - 2
    for nal in nals:
        if len(nal) < 2:
            continue
        cost = len(nal) + 2
        if is_vcl(nal) or cost > room:
            _flush(out, small)
            room = limit - 2
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
        layer = min((nal[0] & 1) << 5 | nal[1] >> 3 for nal in small)
        temporal = min(nal[1] & 7 for nal in small)
        forbidden = max(nal[0] & 0x80 for nal in small)
        header = bytes((forbidden | _AP << 1 | layer >> 5, (layer & 0x1F) << 3 | temporal))
        out.append(header + b"".join(len(nal).to_bytes(2, "big") + nal for nal in small))
    small.clear()


def _fragments(nal: bytes, limit: int) -> list[bytes]:
    header, kind = bytes((nal[0] & 0x81 | _FU << 1, nal[1])), nal[0] >> 1 & 0x3F
    step = limit - 3
    out = []
    for at in range(2, len(nal), step):
        edge = (_START if at == 2 else 0) | (_END if at + step >= len(nal) else 0)
        out.append(header + bytes((edge | kind,)) + nal[at : at + step])
    return out
