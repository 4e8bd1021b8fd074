"""From a connection to a stream that plays: OPTIONS, DESCRIBE, SETUP of each track, PLAY."""

from __future__ import annotations

import datetime as dt
import logging
import re
import secrets
from typing import Any
from urllib.parse import urlsplit

from fovideo.camera._native import Flow
from fovideo.camera.config import CameraConfig
from fovideo.camera.native import sdp
from fovideo.camera.native.client import RtspClient, refusal
from fovideo.camera.native.offer import NotServed, Offer, control_url, offers
from fovideo.camera.native.transport import (
    DatagramPair,
    Transport,
    datagram_wish,
    interleaved_wish,
    parse_transport,
)
from fovideo.errors import CameraBroken
from fovideo.media.codec import Track

_log = logging.getLogger(__name__)

_TIMEOUT_S = 60
_SHORTEST_S = 0.5
_INVALID_RANGE, _NOT_SUPPORTED = 457, 551


class Playing:
    """What was set up. Owns the sockets for UDP, but not the connection."""

    def __init__(self) -> None:
        self.tracks: list[tuple[Offer, Transport, DatagramPair | None]] = []
        self.url = ""
        self.keep_alive = "OPTIONS"
        self.timeout_s = _TIMEOUT_S

    @property
    def keep_alive_s(self) -> float:
        """How often to show a sign of life."""
        return max(self.timeout_s / 2, _SHORTEST_S)

    @property
    def recorded(self) -> tuple[Track, ...]:
        return tuple(offer.track for offer, _, _ in self.tracks)

    @property
    def interval_ns(self) -> int:
        """Frame interval that the description announces, 0 = none."""
        return next((offer.interval_ns for offer, _, _ in self.tracks if offer.track.codec.is_video), 0)

    def attach(self, flow: Flow) -> None:
        """Make these tracks those of a flow."""
        for offer, transport, pair in self.tracks:
            where: dict[str, Any] = {"channels": transport.channels}
            if pair is not None:
                where = {"sockets": (pair.rtp.fileno(), pair.rtcp.fileno())}
            flow.add_track(
                offer.form,
                track=offer.track.id,
                payload_type=offer.payload_type,
                rate=offer.rate,
                own_ssrc=secrets.randbits(32),
                size_bits=offer.size_bits,
                index_bits=offer.index_bits,
                frame_ticks=offer.frame_ticks,
                **where,
            )

    def close(self) -> None:
        for _, _, pair in self.tracks:
            if pair is not None:
                pair.close()


def play(client: RtspClient) -> Playing:
    """Set up all tracks that are recorded and start them. Raises CameraError, and NotServed."""
    playing = Playing()
    try:
        public = client.ask("OPTIONS").headers.get("public", [])
        if any("GET_PARAMETER" in each.upper() for each in public):
            playing.keep_alive = "GET_PARAMETER"
        base, wanted = _describe(client, playing)
        for offer in wanted:
            _set_up(client, playing, base, offer)
        _start(client, playing)
    except BaseException:
        playing.close()
        raise
    return playing


def _start(client: RtspClient, playing: Playing) -> None:
    camera = client.camera
    if not camera.is_replay:
        client.request("PLAY", playing.url, {"Range": "npt=0.000-"})
        return
    span = f"clock={clock_text(camera.replay_from_ns)}-{clock_text(camera.replay_to_ns)}"
    wish = {"Range": span, "Rate-Control": "no"}
    answer = client.ask("PLAY", playing.url, {"Require": "onvif-replay", **wish})
    if answer.status == _NOT_SUPPORTED:
        raise _no_replay(camera)
    if answer.status == _INVALID_RANGE:
        raise CameraBroken("it holds nothing of the time that was asked for", where=camera.source)
    if not 200 <= answer.status < 300:
        raise refusal(camera, answer)
    played = answer.headers.first("range")
    if played and not played.lower().startswith("clock"):
        raise CameraBroken(
            f"it does not play by the clock: it answers with {played[:40]!r}",
            where=camera.source,
            hint="it needs RTSP's Range: clock=, as of ONVIF replay",
        )


def _no_replay(camera: CameraConfig) -> CameraBroken:
    return CameraBroken(
        "it has no recording to replay (ONVIF replay)",
        where=camera.source,
        hint="ONVIF's replay service names the url; a live stream has none",
    )


def clock_text(time_ns: int) -> str:
    """A time as RTSP writes it (RFC 2326, 3.7), to the microsecond, rounded down."""
    moment = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=time_ns // 1000)
    return moment.strftime("%Y%m%dT%H%M%S.%fZ")


def _describe(client: RtspClient, playing: Playing) -> tuple[str, list[Offer]]:
    """(URL that the tracks' are relative to, tracks to set up)."""
    answer = client.request("DESCRIBE", headers={"Accept": "application/sdp"})
    try:
        description = sdp.parse(answer.body.decode("utf-8", "replace"))
    except ValueError as error:
        raise CameraBroken(str(error), where=client.camera.source) from None
    base = answer.headers.first("content-base") or answer.headers.first("content-location")
    if not urlsplit(base).scheme:
        base = client.url
    playing.url = description.control if urlsplit(description.control).scheme else base
    return playing.url, offers(description, client.camera)


def _set_up(client: RtspClient, playing: Playing, base: str, offer: Offer) -> None:
    pair = _datagram_pair(client) if client.camera.transport == "udp" else None
    wish = interleaved_wish(len(playing.tracks)) if pair is None else datagram_wish(pair.ports)
    try:
        more = {"Require": "onvif-replay"} if client.camera.is_replay else {}
        answer = client.ask("SETUP", control_url(base, offer.control), {"Transport": wish, **more})
        if not 200 <= answer.status < 300:
            if playing.tracks:  # sound and metadata are not worth losing the pictures
                _log.warning("%s: no %s: %s", client.camera.name, offer.track.codec, answer.status)
                if pair is not None:
                    pair.close()
                return
            if client.camera.is_replay and answer.status == _NOT_SUPPORTED:
                raise _no_replay(client.camera)
            raise refusal(client.camera, answer)
        _take_session(client, playing, answer.headers.first("session"))
        transport = _agreed(client, answer.headers.first("transport"), pair, len(playing.tracks))
    except BaseException:
        if pair is not None:
            pair.close()
        raise
    playing.tracks.append((offer, transport, pair))


def _datagram_pair(client: RtspClient) -> DatagramPair:
    local = client.connection.getsockname()[0]
    return DatagramPair(local, client.connection.family, client.camera.source)


def _take_session(client: RtspClient, playing: Playing, header: str) -> None:
    name, _, rest = header.partition(";")
    if name.strip():
        client.session = name.strip()
    if match := re.search(r"timeout\s*=\s*(\d{1,6})", rest):
        playing.timeout_s = int(match[1]) or _TIMEOUT_S


def _agreed(client: RtspClient, header: str, pair: DatagramPair | None, number: int) -> Transport:
    """What the camera agreed to for track `number`; if it is silent about channels, what was asked for."""
    where = client.camera.source
    try:
        transport = parse_transport(header)
    except ValueError as error:
        raise CameraBroken(str(error), where=where) from None
    if pair is None:
        if transport.channels is None and transport.server_ports is not None:
            raise CameraBroken("the camera does not send by tcp", where=where, hint="transport")
        return Transport(transport.channels or (2 * number, 2 * number + 1))
    if transport.server_ports is None:
        raise NotServed("UDP from a port that the camera does not tell")
    pair.connect(transport.source or client.connection.getpeername()[0], transport.server_ports, where)
    return transport
