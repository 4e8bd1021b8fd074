"""The chain: each line of a manifest carries the SHA-256 over the link of the line before and its own text.

So a line that is changed, removed, added or moved breaks it there; the last link stands for everything, and
is what gets signed. Pure.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final, NamedTuple

import msgspec

from fovideo.custody.entries import End, Entry
from fovideo.decoding import json_decoder

FIRST_LINK: Final = bytes(32)
_LINE = re.compile(rb'(\{.*),"link":"([0-9a-f]{64})"(?:,"signature":"([A-Za-z0-9+/]*={0,2})")?\}', re.DOTALL)
_decode = json_decoder(Entry).decode


class Line(NamedTuple):
    """A line, taken apart. link: as it stands there, whether or not it is right. signature: base64; of the
    last line only, None elsewhere.
    """

    entry: Entry
    body: bytes
    link: bytes
    signature: str | None


def body_of(entry: Entry) -> bytes:
    """What the link of an entry is computed over, besides the link before: its text up to there."""
    return msgspec.json.encode(entry)[:-1]


def next_link(link: bytes, body: bytes) -> bytes:
    """The link of a line with this body behind a line with that link (32 bytes each)."""
    return hashlib.sha256(link + body).digest()


def encode_line(entry: Entry, link: bytes, signature: str | None = None) -> bytes:
    """The line with its newline. signature: for the last line, "" if it is not signed."""
    end = b"" if signature is None else b',"signature":"' + signature.encode("ascii") + b'"'
    return body_of(entry) + b',"link":"' + link.hex().encode("ascii") + b'"' + end + b"}\n"


def decode_line(text: bytes) -> Line:
    """The line without its newline. ValueError, saying what is wrong, if it is no such line."""
    match = _LINE.fullmatch(text)
    if match is None:
        raise ValueError("not a line of a manifest, or cut off")
    body, link, signature = match.groups()
    try:
        entry = _decode(body + b"}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    if body_of(entry) != body:
        raise ValueError("not written the way a manifest is written")
    if isinstance(entry, End) != (signature is not None):
        raise ValueError("the signature belongs into the last line, and nowhere else")
    return Line(entry, body, bytes.fromhex(link.decode()), None if signature is None else signature.decode())
