"""The worked example of docs/ref/manifest.md: the code writes it byte for byte, and verifies it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fovideo.custody import Reason, Signature, key_id, verify_manifest
from fovideo.custody.describe import crcs_of, describe
from fovideo.custody.entries import Header, StretchEntry
from fovideo.custody.writer import write_manifest
from fovideo.media.codec import Codec, Track
from fovideo.segment import encode_table, parse_fragment
from fovideo.timeline.values import Correction, Gop, GopFlag, Provenance

DOCS = Path(__file__).parents[2] / "docs" / "ref"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SPARE, SERVER = "5a" * 16, "5e" * 16
BASE_NS = 1_790_000_000_000_000_000
SHIFT_NS = -3_000_000
VIDEO = Track(id=1, codec=Codec.H264, parameter_sets=(bytes.fromhex("6742c00bda0a37e48400"),))
PROVENANCE = Provenance(
    recorder="spare-1",
    session="00112233445566ff",
    source="rtsp://10.0.0.7/stream1",
    store=SPARE,
    inserted_from=SPARE,
    inserted_ns=BASE_NS + 60_000_000_000,
    lease=3,
    correction=Correction(offset_ns=SHIFT_NS),
)
HEAD = bytes(range(256)) * 4


def fragment() -> bytes:
    """The worked example of the segment page: a keyframe of 6 bytes, another frame of 5."""
    page = (DOCS / "segment.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \d+ \| `([0-9a-f ]+)` \|", page, re.MULTILINE)
    return b"".join(map(bytes.fromhex, rows))


def row() -> Gop:
    data = fragment()
    return Gop(
        stream="gate",
        serial=1,
        start_ns=BASE_NS + 80_000_000 + SHIFT_NS,
        end_ns=BASE_NS + 160_000_000 + SHIFT_NS,
        shift_ns=SHIFT_NS,
        segment=0x1F,
        offset=len(HEAD),
        size_bytes=len(data),
        provenance=1,
        epoch=2,
        frames=2,
        interval_ns=40_000_000,
        flags=GopFlag.KEY | GopFlag.COMPLETE,
        table=encode_table(parse_fragment(data).frames),
    )


class Server:
    """A timeline with that one GOP."""

    identity, location = SERVER, "http://rec-1:8750"

    def gops(self, stream: str, from_ns: int | None = None, to_ns: int | None = None) -> list[Gop]:
        return [row()]

    def provenances(self, stream: str) -> dict[int, Provenance]:
        return {1: PROVENANCE}

    def tracks(self, stream: str, gop: Gop) -> tuple[Track, ...]:
        return (VIDEO,)

    def read(self, stream: str, gop: Gop) -> bytes:
        return fragment()


def write_example(path: Path) -> None:
    header = Header(
        version=1,
        source=SPARE,
        target=SERVER,
        created="2026-09-21T14:14:21.500Z",
        lease=3,
        key=key_id(KEY.public_key()),
    )
    gop = describe(row(), fragment())
    stretch = StretchEntry(
        stream="gate",
        begin="2026-09-21T14:13:20.077Z",
        end="2026-09-21T14:13:20.117Z",
        gops=1,
        frames=2,
        bytes=gop.bytes,
        segment="1f",
        file="segments/gate/2026-09-21/141320.077-1f.mp4",
        provenance=PROVENANCE,
        tracks=(VIDEO,),
        header_bytes=len(HEAD),
        header_sha256=hashlib.sha256(HEAD).hexdigest(),
        header_crcs=crcs_of(memoryview(HEAD)),
    )
    write_manifest(path, header, [stretch, gop], KEY)


@pytest.fixture(scope="module")
def example() -> bytes:
    page = (DOCS / "manifest.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    return block.encode()


def test_the_code_writes_it(example: bytes, tmp_path: Path) -> None:
    write_example(tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == example


def test_the_code_verifies_it(example: bytes, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(example)
    report = verify_manifest(tmp_path / "m", Server(), key=KEY.public_key())
    assert report.sound
    assert report.signature is Signature.GOOD


def test_the_links_are_what_the_page_says(example: bytes) -> None:
    """By hand, as the page tells it."""
    link = bytes(32)
    for line in example.splitlines():
        body, rest = line.rsplit(b',"link":"', 1)
        link = hashlib.sha256(link + body).digest()
        assert rest[:64].decode() == link.hex()


def test_the_page_names_every_field(example: bytes) -> None:
    page = (DOCS / "manifest.md").read_text(encoding="utf-8").replace(example.decode(), "")
    for name in re.findall(rb'"([a-z_0-9]+)":', example):
        assert f"`{name.decode()}`" in page, name


def test_the_guide_answers_every_reason() -> None:
    guide = (DOCS.parent / "guide" / "merging.md").read_text(encoding="utf-8")
    for reason in Reason:
        assert f"| `{reason}` |" in guide
