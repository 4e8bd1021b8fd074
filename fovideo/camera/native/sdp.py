"""Session descriptions (RFC 4566), as far as cameras fill them. Pure."""

from __future__ import annotations

import contextlib

import msgspec

_STATIC = {0: ("pcmu", 8000, 1), 8: ("pcma", 8000, 1)}


class Medium(msgspec.Struct, kw_only=True):
    """One m= section. Names and parameter names are in lower case.

    kind: "video", "audio", "application", ... protocol: "RTP/AVP", ... payload_type: the first one offered.
    encoding, rate, channels: of its rtpmap; rate 0 = not said.
    parameters: of its fmtp. frame_rate: 0 = not said.
    """

    kind: str
    protocol: str
    payload_type: int
    encoding: str = ""
    rate: int = 0
    channels: int = 1
    control: str = ""
    parameters: dict[str, str] = {}
    frame_rate: float = 0.0


class Description(msgspec.Struct):
    """control: of the whole session, "" = not said."""

    control: str = ""
    media: list[Medium] = []


def parse(text: str) -> Description:
    """The description. Lines that cannot be read are passed over; ValueError when it is no SDP at all."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines or not lines[0].startswith("v="):
        raise ValueError("not a session description")
    found = Description()
    for line in lines:
        name, equals, value = line.partition("=")
        if not equals:
            continue
        if name == "m":
            found.media.append(_medium(value))
        elif name == "a":
            key, _, text = value.partition(":")
            if found.media:
                with contextlib.suppress(ValueError):
                    _attribute(found.media[-1], key.lower(), text.strip())
            elif key.lower() == "control":
                found.control = text.strip()
    return found


def _medium(value: str) -> Medium:
    words = value.split()
    try:
        kind, protocol, payload_type = words[0].lower(), words[2].upper(), int(words[3])
    except (IndexError, ValueError):
        return Medium(kind="", protocol="", payload_type=-1)
    encoding, rate, channels = _STATIC.get(payload_type, ("", 0, 1))
    return Medium(
        kind=kind,
        protocol=protocol,
        payload_type=payload_type,
        encoding=encoding,
        rate=rate,
        channels=channels,
    )


def _attribute(medium: Medium, key: str, text: str) -> None:
    if key == "control":
        medium.control = text
    elif key == "framerate":
        medium.frame_rate = float(text)
    elif key in ("rtpmap", "fmtp"):
        number, _, rest = text.partition(" ")
        if int(number) != medium.payload_type:
            return
        if key == "fmtp":
            pairs = (part.strip().partition("=") for part in rest.split(";"))
            medium.parameters |= {name.strip().lower(): value.strip() for name, _, value in pairs if name}
            return
        parts = rest.strip().split("/")
        medium.encoding = parts[0].lower()
        medium.rate = int(parts[1]) if len(parts) > 1 else 0
        medium.channels = int(parts[2]) if len(parts) > 2 else 1
