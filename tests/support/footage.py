"""Synthetic footage for store tests: frames with made-up but well-formed H.264 samples."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from fovideo.media.codec import Codec, Track
from fovideo.media.frames import Clock, FrameFlag, FrameTable, empty_frames
from fovideo.media.nal import digest_video, xxh64
from fovideo.timeline.values import Provenance

T0_NS = 1_790_000_000_000_000_000
FRAME_NS = 40_000_000
SPS = bytes.fromhex("6742c01edb02802dd0800000030080000018078b16cb")
PPS = bytes.fromhex("68cb83cb20")
VIDEO = Track(id=1, codec=Codec.H264, parameter_sets=(SPS, PPS), width=640, height=360)
AUDIO = Track(id=2, codec=Codec.PCMU, timescale=8000, sample_rate=8000, channels=1)
METADATA = Track(id=3, codec=Codec.ONVIF)


def sample(number: int, *, key: bool, size: int = 200) -> bytes:
    """An access unit of one slice; its content depends on the number."""
    body = number.to_bytes(8, "big") * (size // 8)
    nal = (b"\x65" if key else b"\x41") + body.replace(b"\x00", b"\x01")
    mixed = struct.pack(">Q", (number + 1) * 0x9E3779B97F4A7C15 & (2**64 - 1)).replace(b"\0", b"\1")
    nal = nal[:9] + mixed + nal[17:]
    return struct.pack(">I", len(nal)) + nal


def video(
    first: int, count: int, *, gop: int = 25, start_ns: int = T0_NS, size: int = 200, step_ns: int = FRAME_NS
) -> tuple[FrameTable, list[bytes]]:
    """Frames number first.. of a camera that has sent since start_ns; a keyframe every `gop` frames."""
    frames = empty_frames(count)
    numbers = np.arange(first, first + count)
    payloads = [sample(number, key=number % gop == 0, size=size) for number in numbers.tolist()]
    frames["time_ns"] = frames["dts_ns"] = start_ns + numbers * step_ns
    frames["receipt_ns"] = frames["time_ns"] + 5_000_000
    frames["digest"] = [digest_video(payload, Codec.H264) for payload in payloads]
    frames["size"] = [len(payload) for payload in payloads]
    frames["track"] = 1
    frames["flags"] = np.where(numbers % gop == 0, FrameFlag.KEY, 0)
    frames["clock"] = Clock.SENDER_REPORT
    return frames, payloads


def sound(first: int, count: int, *, start_ns: int = T0_NS, track: int = 2) -> tuple[FrameTable, list[bytes]]:
    """20 ms pieces of G.711, or documents for track 3."""
    frames = empty_frames(count)
    numbers = np.arange(first, first + count)
    payloads = [number.to_bytes(4, "big") * 40 for number in numbers.tolist()]
    frames["time_ns"] = frames["dts_ns"] = start_ns + numbers * 20_000_000
    frames["digest"] = [xxh64(payload) for payload in payloads]
    frames["size"] = 160
    frames["track"] = track
    frames["flags"] = FrameFlag.KEY
    return frames, payloads


def joined(*parts: tuple[FrameTable, Sequence[bytes]]) -> tuple[FrameTable, list[bytes]]:
    """Footage of several tracks as it arrives: by time."""
    frames = np.concatenate([part[0] for part in parts])
    payloads = [payload for part in parts for payload in part[1]]
    order = frames["dts_ns"].argsort(kind="stable")
    return frames[order], [payloads[number] for number in order.tolist()]


def session(number: int = 1, recorder: str = "rec-1") -> Provenance:
    return Provenance(recorder=recorder, session=f"{number:016x}", source="rtsp://camera/")
