"""RFC 6184, mode 1: single NAL unit packets, STAP-A for small non-VCL units, FU-A for large ones."""

from __future__ import annotations

from collections.abc import Sequence

from fovideo.replay.rtp import units

_STAP_A, _FU_A = 24, 28


def is_vcl(nal: bytes) -> bool:
    return 1 <= nal[0] & 0x1F <= 5


def _aggregate(nals: Sequence[bytes]) -> bytes:
    forbidden = max(nal[0] & 0x80 for nal in nals)
    importance = max(nal[0] & 0x60 for nal in nals)
    return bytes((forbidden | importance | _STAP_A,))


def _fragment(nal: bytes) -> tuple[bytes, int]:
    return bytes(((nal[0] & 0xE0) | _FU_A,)), nal[0] & 0x1F


_FORM = units.Form(header_bytes=1, is_vcl=is_vcl, aggregate=_aggregate, fragment=_fragment)


def split(nals: Sequence[bytes], limit: int) -> list[bytes]:
    """Payloads of at most `limit` bytes (>= 16) with the NAL units in order. Stumps are left out."""
    return units.split(_FORM, nals, limit)
