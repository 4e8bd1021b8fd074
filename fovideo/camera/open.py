"""Opening a camera with libavformat, so that it delivers at once."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import av
import msgspec
from av.container import InputContainer

from fovideo.camera._connection import Connection
from fovideo.camera.config import CameraConfig
from fovideo.camera.tracks import SourceTrack, source_tracks, streams_of
from fovideo.camera.translate import translated
from fovideo.errors import UnsupportedStream, UsageError
from fovideo.times import NS_PER_S, parse_ns

_UDP_BUFFER_BYTES = 4 << 20  # a keyframe comes as one burst; the system may grant less
_GEN_PTS = 1  # AVFMT_FLAG_GENPTS


class Opened(msgspec.Struct, frozen=True):
    """An open source. It belongs to the thread that opened it.

    container_start_ns: wall clock at pts 0 that a file's container states, or None.
    """

    source: InputContainer | Connection
    tracks: list[SourceTrack]
    container_start_ns: int | None = None


def open_camera(camera: CameraConfig, connection: Connection) -> Opened:
    """Connect, describe and set up. It plays when its reading begins: then nothing of Python is between its
    first packet and the ring.

    A camera that does not say how large its pictures are plays at once, and is looked at; no packet is lost
    to that. Takes no longer than open_timeout_ns, and as long again where it is looked at.

    Raises CameraUnreachable, CameraUnauthorized, CameraBroken or UnsupportedStream; ConfigError for
    credentials. The connection is the caller's to close.
    """
    with translated(camera, opening=True, late=lambda: connection.late):
        av.error.err_check(
            connection.open(
                camera.open_url(), options(camera), timeout_ns=camera.open_timeout_ns, paused=True
            )
        )
        tracks = _tracks(connection, camera)
        if not tracks or any(source.track.codec.is_video and not source.track.width for source in tracks):
            av.error.err_check(connection.explore())
            tracks = _tracks(connection, camera)
    return Opened(connection, _some(tracks, connection, camera))


def open_with_pyav(
    camera: CameraConfig,
    *,
    read_timeout_ns: int | None = None,
    now_ns: Callable[[], int] = time.monotonic_ns,
) -> Opened:
    """A file, or a camera where `open_camera` does not fit; returns within about open_timeout_ns.

    No packet is lost to probing: what libavformat reads to learn about the streams is delivered all the same.
    read_timeout_ns: let libavformat give up a silent read; costs the interpreter lock on each poll, so None
        where a blocked read can be interrupted (fovideo.camera.interrupt).
    Raises as `open_camera`.
    """
    timeouts = (camera.open_timeout_ns / NS_PER_S, read_timeout_ns and read_timeout_ns / NS_PER_S)
    deadline_ns = now_ns() + camera.open_timeout_ns
    with translated(camera, opening=True, late=lambda: now_ns() >= deadline_ns):
        container = av.open(camera.open_url(), options=options(camera), timeout=timeouts)
    try:
        container.flags &= ~_GEN_PTS  # it holds packets back to guess times
        tracks = _some(_tracks(container, camera), container, camera)
        return Opened(container, tracks, _file_start_ns(container, camera) if camera.is_file else None)
    except BaseException:
        container.close()
        raise


def options(camera: CameraConfig) -> dict[str, str]:
    """libavformat's options for this camera."""
    if camera.is_file:
        return {}
    more = {"buffer_size": str(_UDP_BUFFER_BYTES)} if camera.transport == "udp" else {}
    if camera.tls_ca_file:
        more |= {"tls_verify": "1", "ca_file": camera.tls_ca_file}
    kinds = ["video", "audio" if camera.audio else "", "data" if camera.metadata else ""]
    return {
        "rtsp_transport": camera.transport,
        "allowed_media_types": "+".join(filter(None, kinds)),
        # The SDP describes the streams: look at no more than one packet, or opening takes seconds.
        "probesize": "32",
        "analyzeduration": "1",
        "fpsprobesize": "0",
    } | more


def _tracks(source: InputContainer | Connection, camera: CameraConfig) -> list[SourceTrack]:
    return source_tracks(
        streams_of(source),
        audio=camera.audio,
        metadata=camera.metadata and not camera.is_file,
        source=camera.source,
    )


def _some(
    tracks: list[SourceTrack], source: InputContainer | Connection, camera: CameraConfig
) -> list[SourceTrack]:
    if not tracks:
        kinds = sorted({f"{each.kind} ({_named(each.codec)})" for each in streams_of(source)})
        raise UnsupportedStream(
            f"nothing to record in it: {', '.join(kinds) or 'no streams'}",
            where=camera.source,
            hint="H.264, H.265, AAC, G.711, Opus and ONVIF metadata are recorded",
        )
    return tracks


def _named(codec: str) -> str:
    return "unknown codec" if codec == "none" else codec


def _file_start_ns(container: InputContainer, camera: CameraConfig) -> int | None:
    """Wall clock of pts 0 of a file: as it was told, else what the demuxer worked out, else the creation time
    in its metadata.
    """
    if camera.file_start_ns:
        return camera.file_start_ns - int(container.start_time or 0) * 1000
    if container.start_time_realtime:
        return int(container.start_time_realtime) * 1000 - int(container.start_time or 0) * 1000
    text = container.metadata.get("creation_time", "")
    if not text:
        return None
    with contextlib.suppress(UsageError):
        start_ns = parse_ns(text)
        return start_ns if start_ns > 0 else None
    return None
