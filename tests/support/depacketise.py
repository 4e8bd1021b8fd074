"""RTP payloads back to NAL units, written from the RFCs alone: the oracle of the packetisers."""

from __future__ import annotations

from collections.abc import Iterable


def h264(payloads: Iterable[bytes]) -> list[bytes]:
    """NAL units of RFC 6184 payloads (single, STAP-A, FU-A)."""
    out: list[bytes] = []
    open_unit = b""
    for payload in payloads:
        kind = payload[0] & 0x1F
        if kind == 24:
            rest = payload[1:]
            while rest:
                size = int.from_bytes(rest[:2], "big")
                assert 0 < size <= len(rest) - 2
                out.append(rest[2 : 2 + size])
                rest = rest[2 + size :]
        elif kind == 28:
            start, end = payload[1] & 0x80, payload[1] & 0x40
            assert not (start and end), "a fragmented unit has at least two fragments"
            assert bool(open_unit) != bool(start)
            if start:
                open_unit = bytes((payload[0] & 0xE0 | payload[1] & 0x1F,))
            open_unit += payload[2:]
            if end:
                out.append(open_unit)
                open_unit = b""
        else:
            assert 0 <= kind <= 23
            out.append(payload)
    assert not open_unit
    return out


def h265(payloads: Iterable[bytes]) -> list[bytes]:
    """NAL units of RFC 7798 payloads (single, AP, FU)."""
    out: list[bytes] = []
    open_unit = b""
    for payload in payloads:
        kind = payload[0] >> 1 & 0x3F
        if kind == 48:
            rest = payload[2:]
            count = 0
            while rest:
                size = int.from_bytes(rest[:2], "big")
                assert 0 < size <= len(rest) - 2
                out.append(rest[2 : 2 + size])
                rest = rest[2 + size :]
                count += 1
            assert count >= 2
        elif kind == 49:
            start, end = payload[2] & 0x80, payload[2] & 0x40
            assert not (start and end)
            assert bool(open_unit) != bool(start)
            if start:
                open_unit = bytes((payload[0] & 0x81 | (payload[2] & 0x3F) << 1, payload[1]))
            open_unit += payload[3:]
            if end:
                out.append(open_unit)
                open_unit = b""
        else:
            out.append(payload)
    assert not open_unit
    return out
