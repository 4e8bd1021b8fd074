"""The `moov` box: what a player must know before the first fragment."""

from __future__ import annotations

import struct

from fovideo.media.codec import Track
from fovideo.segment.boxes import box, full_box
from fovideo.segment.entries import sample_entry
from fovideo.segment.moof import delay_ticks, ticks
from fovideo.times import NS_PER_S

_MOVIE_TIMESCALE = 1000
_MP4_EPOCH_S = 2_082_844_800
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x4000_0000)
_UNDETERMINED = 0x55C4  # language "und"


def encode(tracks: tuple[Track, ...], base_ns: int, start_ns: int) -> bytes:
    """moov of a file whose fragments hold all samples; an edit makes players show start_ns as time 0."""
    created_s = max(0, start_ns // NS_PER_S + _MP4_EPOCH_S)
    movie = full_box(
        b"mvhd",
        1,
        0,
        struct.pack(">QQIQ", created_s, created_s, _MOVIE_TIMESCALE, 0),
        struct.pack(">IH10x", 0x10000, 0x100),
        _MATRIX,
        struct.pack(">24xI", max(track.id for track in tracks) + 1),
    )
    extends = [full_box(b"trex", 0, 0, struct.pack(">5I", track.id, 1, 0, 0, 0)) for track in tracks]
    return box(
        b"moov",
        movie,
        *[_trak(track, created_s, _first_tick(track, base_ns, start_ns)) for track in tracks],
        box(b"mvex", *extends),
    )


def _first_tick(track: Track, base_ns: int, start_ns: int) -> int:
    return int(ticks(start_ns, base_ns, track.timescale)) + delay_ticks(track)


def _trak(track: Track, created_s: int, first_tick: int) -> bytes:
    video, audio = track.codec.is_video, track.codec.is_audio
    track_head = full_box(
        b"tkhd",
        1,
        7 if video or audio else 1,
        struct.pack(">QQIIQ", created_s, created_s, track.id, 0, 0),
        struct.pack(">8xhHHH", 0, 1 if audio else 0, 0x100 if audio else 0, 0),
        _MATRIX,
        struct.pack(">II", track.width << 16 & 0xFFFF_FFFF, track.height << 16 & 0xFFFF_FFFF),
    )
    edits = b""
    if first_tick:
        edits = box(b"edts", full_box(b"elst", 1, 0, struct.pack(">IQqHH", 1, 0, first_tick, 1, 0)))
    return box(b"trak", track_head, edits, _mdia(track, created_s))


def _mdia(track: Track, created_s: int) -> bytes:
    if track.codec.is_video:
        handler, name, media = b"vide", b"video", full_box(b"vmhd", 0, 1, bytes(8))
    elif track.codec.is_audio:
        handler, name, media = b"soun", b"audio", full_box(b"smhd", 0, 0, bytes(4))
    else:
        handler, name, media = b"meta", b"metadata", full_box(b"nmhd", 0, 0)
    data = box(b"dinf", full_box(b"dref", 0, 0, struct.pack(">I", 1), full_box(b"url ", 0, 1)))
    none = struct.pack(">I", 0)
    table = box(
        b"stbl",
        full_box(b"stsd", 0, 0, struct.pack(">I", 1), sample_entry(track)),
        full_box(b"stts", 0, 0, none),
        full_box(b"stsc", 0, 0, none),
        full_box(b"stsz", 0, 0, none, none),
        full_box(b"stco", 0, 0, none),
    )
    return box(
        b"mdia",
        full_box(
            b"mdhd", 1, 0, struct.pack(">QQIQHH", created_s, created_s, track.timescale, 0, _UNDETERMINED, 0)
        ),
        full_box(b"hdlr", 0, 0, struct.pack(">I4s12x", 0, handler), name + b"\0"),
        box(b"minf", media, data, table),
    )
