"""Whether a file ended where it says that it does."""

from __future__ import annotations

from fractions import Fraction

from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from fovideo.camera.open import Opened

_SLACK_S = Fraction(1)


class Ending:
    """Follows the packets of a file. A file that was cut ends within a packet, or well before its own length.

    A file whose format states no length (MPEG-TS, elementary streams) and that is cut between packets looks
    whole.
    """

    def __init__(self, opened: Opened) -> None:
        container = opened.source
        assert isinstance(container, InputContainer)
        recorded = [container.streams[source.index] for source in opened.tracks]
        self._stated = {stream.index: _seconds(stream) for stream in recorded}
        if not any(self._stated.values()) and len(recorded) == len(container.streams):
            # Matroska states the length of the whole only: it says nothing of some of the tracks.
            self._whole = Fraction(container.duration or 0, 1_000_000)
        else:
            self._whole = Fraction(0)
        self._reached = dict.fromkeys(self._stated, Fraction(0))
        self._torn: set[int] = set()

    def add(self, packet: Packet[Stream]) -> None:
        """One packet was read."""
        index, base = packet.stream_index, packet.time_base
        if packet.is_corrupt:
            self._torn.add(index)
        else:
            self._torn.discard(index)
        if packet.pts is not None and base is not None:
            end = (packet.pts + (packet.duration or 0)) * base
            self._reached[index] = max(self._reached[index], end)

    def missing(self) -> str:
        """What is missing at the end, "" if nothing is."""
        for index, stated in self._stated.items():
            if stated and stated - self._reached[index] > _SLACK_S:
                return _short(self._reached[index], stated)
        reached = max(self._reached.values(), default=Fraction(0))
        if self._whole - reached > _SLACK_S:
            return _short(reached, self._whole)
        return "the file ends within a frame" if self._torn else ""


def _short(reached: Fraction, stated: Fraction) -> str:
    return f"the file is cut short: {float(reached):.1f} s of {float(stated):.1f} s are there"


def _seconds(stream: Stream) -> Fraction:
    if stream.duration is None or stream.time_base is None:
        return Fraction(0)
    return (stream.duration + (stream.start_time or 0)) * stream.time_base
