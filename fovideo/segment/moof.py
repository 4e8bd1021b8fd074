"""Movie fragment boxes (`prft`, `moof`) of runs of samples."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fovideo.errors import UsageError
from fovideo.media.codec import Track
from fovideo.media.frames import FrameFlag, FrameTable
from fovideo.times import NS_PER_S

_Ticks = npt.NDArray[np.int64]

_NTP_EPOCH_S = 2_208_988_800
_PRFT = struct.Struct(">I4sIIQQ")
_MOOF = struct.Struct(">I4s I4sII")  # moof, mfhd
_TRAF = struct.Struct(">I4s I4sII I4sIQ I4sIIi")  # traf, tfhd, tfdt, trun up to the data offset
_BASE_IS_MOOF = 0x02_0000
_TRUN_FLAGS = 0x01_000F01  # version 1; data offset; per sample duration, size, flags, composition offset
_SYNC, _NON_SYNC = 0x0200_0000, 0x0101_0000
_FALLBACK_HZ = 25


class Run(NamedTuple):
    """Consecutive samples of one track in a fragment.

    start: row of its first sample in the fragment's frame table. data_bytes: what they take in the file.
    as_one: all rows are stored as one sample.
    """

    track: Track
    start: int
    frames: FrameTable
    data_bytes: int
    as_one: bool = False

    def batched(self, data_bytes: int) -> Run:
        """The same rows stored as one sample of that many bytes."""
        return self._replace(data_bytes=data_bytes, as_one=True)


def ticks(times_ns: Any, base_ns: int, timescale: int) -> Any:
    """round((time - base) * timescale / 1e9), halves up, without overflow: of an int or an int64 array."""
    seconds, rest_ns = divmod(times_ns - base_ns, NS_PER_S)
    return seconds * timescale + (rest_ns * timescale + NS_PER_S // 2) // NS_PER_S


def encode(runs: list[Run], sequence: int, base_ns: int) -> bytes:
    """`prft` and `moof` for the runs, whose samples follow one after the other in an `mdat` box.

    The first run's track is the reference of the `prft`. Raises UsageError for a sample before base_ns.
    """
    moof_bytes = _MOOF.size
    tables: list[tuple[Run, int, npt.NDArray[np.uint32]]] = []
    for run in runs:
        first_tick, table = _samples(run, base_ns)
        moof_bytes += _TRAF.size + table.nbytes
        tables.append((run, first_tick, table))
    parts = [
        _prft(runs[0].track.id, int(runs[0].frames["dts_ns"][0]), tables[0][1]),
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


def _samples(run: Run, base_ns: int) -> tuple[int, npt.NDArray[np.uint32]]:
    """Tick of the first sample, and the rows of the trun."""
    frames, scale = run.frames, run.track.timescale
    decode: _Ticks = ticks(frames["dts_ns"], base_ns, scale)
    if decode.min() < 0:
        raise UsageError("a frame lies before the base of its segment", hint="choose an earlier base_ns")
    present: _Ticks = ticks(frames["time_ns"], base_ns, scale)
    if run.as_one:
        table = np.empty((1, 4), ">u4")
        table[0] = (max(1, int(decode[-1] - decode[0])), run.data_bytes, _SYNC, 0)
        return int(decode[0]), table
    count = len(frames)
    steps = np.arange(count)
    decode = np.maximum.accumulate(decode - steps) + steps
    table = np.empty((count, 4), ">u4")
    table[:-1, 0] = decode[1:] - decode[:-1]
    table[-1, 0] = _last_duration(run, table[:-1, 0])
    table[:, 1] = frames["size"]
    table[:, 2] = np.where(frames["flags"] & FrameFlag.KEY, _SYNC, _NON_SYNC)
    table[:, 3] = present - decode
    return int(decode[0]), table


def _last_duration(run: Run, durations: npt.NDArray[np.uint32]) -> int:
    if len(durations):
        return int(np.sort(durations)[len(durations) // 2])
    return run.track.timescale // _FALLBACK_HZ


def _prft(track: int, time_ns: int, tick: int) -> bytes:
    """Producer reference time: the decode time of the fragment's first sample, as NTP and as media time."""
    seconds, rest_ns = divmod(time_ns, NS_PER_S)
    ntp = (seconds + _NTP_EPOCH_S) % 2**32 << 32 | (rest_ns << 32) // NS_PER_S
    return _PRFT.pack(_PRFT.size, b"prft", 1 << 24 | 24, track, ntp, tick)
