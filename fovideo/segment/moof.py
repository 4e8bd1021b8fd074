"""Movie fragment boxes (`prft`, `moof`) of runs of samples."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fovideo.errors import UnsupportedStream
from fovideo.media import sps
from fovideo.media.codec import Codec, Track
from fovideo.media.frames import FRAME, FrameTable
from fovideo.segment import _columns
from fovideo.times import NS_PER_S

_Trun = npt.NDArray[np.int32]
"""One row a sample: duration, size, flags, composition offset."""

_NTP_EPOCH_S = 2_208_988_800
_PRFT = struct.Struct(">I4sIIQQ")
_MOOF = struct.Struct(">I4s I4sII")  # moof, mfhd
_TRAF = struct.Struct(">I4s I4sII I4sIQ I4sIIi")  # traf, tfhd, tfdt, trun up to the data offset
_PRFT_FLAGS = 0x01_000018  # version 1; the time is that of capture
_BASE_IS_MOOF = 0x02_0000
_TRUN_FLAGS = 0x01_000F01  # version 1; data offset; per sample duration, size, flags, composition offset
_INT32_MAX = 2**31 - 1
_SYNC, _NON_SYNC = 0x0200_0000, 0x0101_0000
_VIDEO_USUAL_HZ, _OPUS_USUAL_HZ, _AAC_FRAME_SAMPLES = 25, 50, 1024
_REORDER_NS_PER_FRAME = NS_PER_S // 10
_REORDER_UNKNOWN_FRAMES = 2


class Run(NamedTuple):
    """Consecutive samples of one track in a fragment.

    data_bytes: what they take in the file. as_one: all rows are stored as one sample.
    """

    track: Track
    frames: FrameTable
    data_bytes: int
    as_one: bool


def ticks(times_ns: Any, base_ns: int, timescale: int) -> Any:
    """round((time - base) * timescale / 1e9), halves up, without overflow: of an int or an int64 array."""
    seconds, rest_ns = divmod(times_ns - base_ns, NS_PER_S)
    return seconds * timescale + (rest_ns * timescale + NS_PER_S // 2) // NS_PER_S


def delay_ticks(track: Track) -> int:
    """What is added to all composition offsets of a track, and taken off again by its edit list.

    Stored decode times are sorted presentation times, so a frame can be due before its decode time. The
    delay keeps composition offsets positive, as all players want them, down to 10 frames a second. It depends
    on the parameter sets alone, since the file's header and each fragment must agree on it.
    """
    if not track.codec.is_video:
        return 0
    return _delay_ticks(track.codec, track.parameter_sets, track.timescale)


@lru_cache(maxsize=1024)
def _delay_ticks(codec: Codec, parameter_sets: tuple[bytes, ...], timescale: int) -> int:
    try:
        frames = sps.parse(codec, parameter_sets).reorder_frames
    except UnsupportedStream:
        frames = None
    if frames is None:
        frames = _REORDER_UNKNOWN_FRAMES
    return frames * _REORDER_NS_PER_FRAME * timescale // NS_PER_S


def encode(runs: list[Run], sequence: int, base_ns: int) -> bytes:
    """`prft` and `moof` for the runs, whose samples follow one after the other in an `mdat` box.

    The first run's track is the reference of the `prft`. What cannot be said in a `trun` (samples before
    base_ns, times that stand still or go back, hours between two samples) is bent there to what can; the
    frame table has the truth.
    """
    moof_bytes = _MOOF.size
    tables: list[tuple[Run, int, _Trun]] = []
    for run in runs:
        first_tick, table = _samples(run, base_ns)
        moof_bytes += _TRAF.size + table.nbytes
        tables.append((run, first_tick, table))
    parts = [
        _prft(*tables[0]),
        _MOOF.pack(moof_bytes, b"moof", 16, b"mfhd", 0, sequence),
    ]
    data_at = moof_bytes + 8
    for run, first_tick, table in tables:
        trun_bytes = 20 + table.nbytes
        parts.append(
            _TRAF.pack(
                _TRAF.size + table.nbytes,
                b"traf",
                16,
                b"tfhd",
                _BASE_IS_MOOF,
                run.track.id,
                20,
                b"tfdt",
                1 << 24,
                first_tick,
                trun_bytes,
                b"trun",
                _TRUN_FLAGS,
                len(table),
                data_at,
            )
        )
        parts.append(table.tobytes())
        data_at += run.data_bytes
    return b"".join(parts)


def _samples(run: Run, base_ns: int) -> tuple[int, _Trun]:
    """Decode tick of the first sample, and the rows of the trun."""
    frames, scale = run.frames, run.track.timescale
    if run.as_one:
        first, last = (max(0, ticks(int(frames["dts_ns"][row]), base_ns, scale)) for row in (0, -1))
        table = np.array([(min(max(1, last - first), _INT32_MAX), run.data_bytes, _SYNC, 0)], ">i4")
        return first, table
    delay = delay_ticks(run.track) if run.track.codec.is_video else -1
    rows = np.ascontiguousarray(frames, FRAME)
    first, packed = _columns.trun_rows(rows, base_ns, scale, delay, _SYNC, _NON_SYNC)
    table = np.frombuffer(bytearray(packed), ">i4").reshape(-1, 4)
    table[-1, 0] = _last_duration(run, table[:-1, 0])
    return first, table


def _last_duration(run: Run, durations: npt.NDArray[np.int32]) -> int:
    """What the last sample lasts, as its successor is not known yet: as audio says itself, else the usual."""
    match run.track.codec:
        case Codec.AAC:
            return _AAC_FRAME_SAMPLES
        case Codec.PCMU | Codec.PCMA:
            return int(run.frames["size"][-1]) // max(1, run.track.channels)
    if len(durations):
        return int(np.sort(durations)[len(durations) // 2])
    return run.track.timescale // (_OPUS_USUAL_HZ if run.track.codec is Codec.OPUS else _VIDEO_USUAL_HZ)


def _prft(run: Run, first_tick: int, table: _Trun) -> bytes:
    """Producer reference time: when the run's first sample was captured, as NTP and as composition time."""
    seconds, rest_ns = divmod(int(run.frames["time_ns"][0]), NS_PER_S)
    ntp = (seconds + _NTP_EPOCH_S) % 2**32 << 32 | (rest_ns << 32) // NS_PER_S
    media = max(0, first_tick + int(table[0, 3]))
    return _PRFT.pack(_PRFT.size, b"prft", _PRFT_FLAGS, run.track.id, ntp, media)
