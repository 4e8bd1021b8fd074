"""Session: what one client has set up of one stream, and its playback."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from fovideo.errors import NothingThere
from fovideo.media.codec import Track
from fovideo.replay.rtsp.headers import Range, npt_text, parse_range, parse_rate
from fovideo.replay.rtsp.link import Link, TcpLink
from fovideo.replay.rtsp.message import RtspError
from fovideo.replay.rtsp.outlet import Outlet
from fovideo.replay.rtsp.player import Pace, Player
from fovideo.replay.rtsp.sdp import clock_text, control
from fovideo.replay.rtsp.settings import Counters, Settings
from fovideo.replay.source import Remembering, Source, Start

Headers = list[tuple[str, str]]


class Session:
    """Used by the server's loop only.

    on_end: called some time after a playback has come to its end. abort: resets the client's RTSP connection.
    is_replay: the client asked for ONVIF's replay extension.
    """

    def __init__(
        self,
        path: str,
        source: Source,
        settings: Settings,
        counters: Counters,
        abort: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        self.id = secrets.token_hex(8)
        self.path, self.source = path, source
        self._played = source  # or the past of a live source
        self.outlets: dict[int, Outlet] = {}
        self.is_replay = False
        self.abort, self._on_end = abort, on_end
        self._settings, self._counters = settings, counters
        self._player: Player | None = None
        self._task: asyncio.Task[None] | None = None
        self._paused = False
        self._range: Range | None = None
        self._seen = time.monotonic()

    def touch(self) -> None:
        """The client showed a sign of life."""
        self._seen = time.monotonic()

    @property
    def is_interleaved(self) -> bool:
        """Whether packets go through the RTSP connection, so that the session ends with it."""
        return any(isinstance(outlet.link, TcpLink) for outlet in self.outlets.values())

    @property
    def has_past(self) -> bool:
        """Whether recorded footage can be played."""
        return not self.source.live or isinstance(self.source, Remembering)

    @property
    def is_expired(self) -> bool:
        """A client bound to a TCP connection lives as long as that; others must show signs of life."""
        silent_s = time.monotonic() - self._seen
        return not self.is_interleaved and silent_s > self._settings.session_timeout_s

    @property
    def is_playing(self) -> bool:
        return self._task is not None and not self._task.done()

    def check_addable(self, path: str, track_id: int) -> None:
        """RtspError 455 unless a track of a stream can be added now."""
        if self.path != path or track_id in self.outlets or self.is_playing:
            raise RtspError(455, headers=[("Allow", "PLAY, PAUSE, TEARDOWN")])

    def add(self, track: Track, link: Link) -> Outlet:
        """Set up one track."""
        outlet = self.outlets[track.id] = Outlet(track, link, f"fovideo-{self.id}")
        return outlet

    def remove(self, track_id: int) -> None:
        """Take one track down; the others go on."""
        if outlet := self.outlets.pop(track_id, None):
            outlet.link.close()

    async def play(self, headers: Mapping[str, str], base_url: str) -> Headers:
        """Prepare playback as a PLAY request asks, and return the response's headers; begin() starts it."""
        wish = parse_range(headers["range"]) if "range" in headers else None
        if wish is not None or not self.is_playing:
            await self._choose(wish)
        scale, speed, unpaced = self._rates(headers)
        pace = Pace(self._played.live, None if unpaced else scale * speed)
        for outlet in self.outlets.values():
            outlet.replay_cseq = int(headers["cseq"]) if self.is_replay and not self._played.live else None
        if self.is_playing and wish is None:
            assert self._player is not None
            if self._paused:
                self._player.resume(pace)
            self._paused = False
        else:
            await self._open(wish, scale, pace)
        out = [("Range", await self._range_text()), ("RTP-Info", self._rtp_info(base_url))]
        if "scale" in headers:
            out.append(("Scale", f"{float(scale):g}"))
        if "speed" in headers:
            out.append(("Speed", f"{float(speed):g}"))
        if "rate-control" in headers:
            out.append(("Rate-Control", "no" if unpaced else "yes"))
        return out

    async def _choose(self, wish: Range | None) -> None:
        """A range of the clock is asked of the recording, everything else of what was described."""
        self._played = self.source
        if wish is not None and wish.clock and isinstance(self.source, Remembering):
            self._played = await self.source.past() or self.source

    def _rates(self, headers: Mapping[str, str]) -> tuple[Fraction, Fraction, bool]:
        """(scale, speed, whether to send as fast as the client takes it)."""
        scale, speed = parse_rate(headers, "scale"), parse_rate(headers, "speed")
        control = headers.get("rate-control", "").strip().lower()
        if self._played.live:
            return Fraction(1), Fraction(1), False
        if not control and "scale" not in headers and "speed" not in headers:
            return self._played.speed or Fraction(1), Fraction(1), self._played.speed is None
        return scale, speed, control == "no"

    async def _open(self, wish: Range | None, scale: Fraction, pace: Pace) -> None:
        start = await self._start(wish)
        await self._stop()
        try:
            feed = await self._played.open(frozenset(self.outlets), start, self._settings.payload_bytes)
        except NothingThere:
            raise RtspError(457) from None
        for outlet in self.outlets.values():
            outlet.anchor(feed.start_media_ns, scale)
        self._range, self._paused = wish, False
        self._player = Player(feed, self.outlets, pace, self._settings, self._counters, self.abort)

    async def _start(self, wish: Range | None) -> Start:
        extent = await self._played.extent()
        if extent is None:
            if wish is not None and (wish.clock or wish.from_ns):
                raise RtspError(457)  # a live stream has neither past nor future
            return Start()
        if wish is None:
            return Start()
        if wish.from_ns is None:
            raise RtspError(457)  # "now" is not part of a recording
        base_ns = 0 if wish.clock else extent[0]
        from_ns = wish.from_ns + base_ns
        to_ns = None if wish.to_ns is None else wish.to_ns + base_ns
        if from_ns >= extent[1] or (to_ns is not None and to_ns <= extent[0]):
            raise RtspError(457)
        return Start(max(from_ns, extent[0]), to_ns)

    async def _range_text(self) -> str:
        extent = await self._played.extent()
        if extent is None or self._player is None:
            return "npt=now-"
        start_ns = self._player.start_ns
        if self._range is not None and self._range.clock:
            return f"clock={clock_text(start_ns)}-{clock_text(self._range.to_ns or extent[1])}"
        end_ns = self._range.to_ns if self._range is not None else None
        return f"npt={npt_text(max(0, start_ns - extent[0]))}-{npt_text(end_ns or extent[1] - extent[0])}"

    def _rtp_info(self, base_url: str) -> str:
        assert self._player is not None
        media_ns = self._player.start_media_ns
        return ",".join(
            f"url={base_url}/{control(outlet.track)};seq={outlet.sequence};rtptime={outlet.rtp_time(media_ns)}"
            for outlet in self.outlets.values()
        )

    def begin(self) -> None:
        """Start what play() prepared, once its response is on the way."""
        if self._player is not None and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(self._player))

    async def _run(self, player: Player) -> None:
        await player.run()
        asyncio.get_running_loop().call_later(self._settings.end_grace_s, self._on_end)

    async def pause(self) -> None:
        """Hold a recording where it is; a live stream just stops."""
        if self._played.live:
            await self._stop()
        elif self._player is not None:
            self._player.pause()
            self._paused = True

    async def _stop(self) -> None:
        task, self._task, self._player = self._task, None, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def end(self, *, goodbye: bool) -> None:
        """Stop and release the sockets."""
        was_playing = self.is_playing
        await self._stop()
        for outlet in self.outlets.values():
            if goodbye and was_playing:
                outlet.goodbye()
            outlet.link.close()
        self.outlets.clear()


def by_id(tracks: Sequence[Track], track_id: int) -> Track:
    """The track with this id; RtspError 404 when there is none."""
    for track in tracks:
        if track.id == track_id:
            return track
    raise RtspError(404)
