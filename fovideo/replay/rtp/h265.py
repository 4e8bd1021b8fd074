"""RFC 7798 without DONL: single NAL unit packets, AP for small non-VCL units, FU for large ones."""

from __future__ import annotations

from collections.abc import Sequence

from fovideo.replay.rtp import units

_AP, _FU = 48, 49


def is_vcl(nal: bytes) -> bool:
    return nal[0] >> 1 & 0x3F < 32


def _aggregate(nals: Sequence[bytes]) -> bytes:
    layer = min((nal[0] & 1) << 5 | nal[1] >> 3 for nal in nals)
    temporal = min(nal[1] & 7 for nal in nals)
    forbidden = max(nal[0] & 0x80 for nal in nals)
    return bytes((forbidden | _AP << 1 | layer >> 5, (layer & 0x1F) << 3 | temporal))


def _fragment(nal: bytes) -> tuple[bytes, int]:
    return bytes((nal[0] & 0x81 | _FU << 1, nal[1])), nal[0] >> 1 & 0x3F


_FORM = units.Form(header_bytes=2, is_vcl=is_vcl, aggregate=_aggregate, fragment=_fragment)


def split(nals: Sequence[bytes], limit: int) -> list[bytes]:
    """Payloads of at most `limit` bytes (>= 16) with the NAL units in order. Stumps are left out."""
    return units.split(_FORM, nals, limit)
