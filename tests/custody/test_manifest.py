"""The manifest itself: one way to write it, and any tampering with it shows."""

from __future__ import annotations

import itertools
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from custody_world import merged, outage
from hypothesis import given, settings
from hypothesis import strategies as st

from fovideo.custody import ChangeKind, Signature, key_id, verify_manifest
from fovideo.custody.chain import FIRST_LINK, Line, body_of, decode_line, encode_line, next_link
from fovideo.custody.entries import BLOCK_BYTES, End, Entry, GopEntry, Header, StretchEntry, blocks_of
from fovideo.custody.reader import ManifestReader
from fovideo.custody.writer import write_manifest
from fovideo.errors import FovideoError, ManifestDamaged, UsageError
from fovideo.timeline.values import Correction

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))


class Signed:
    """A merge whose manifest is signed."""

    def __init__(self, folder: Path) -> None:
        self.spare, self.server = outage(folder)
        self.path = folder / "signed"
        merged(self.spare, self.server, self.path, key=KEY, lease=7)
        self.text = self.path.read_bytes()
        self.lines = self.text.splitlines(keepends=True)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory):
    made = Signed(tmp_path_factory.mktemp("signed"))
    with made.spare, made.server:
        yield made


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch") / "manifest"


def read(path: Path) -> list[Entry]:
    return [entry for _, entry in ManifestReader(path)]


def forged(lines: list[Line], entries: list[Entry], signature: str) -> bytes:
    """What somebody without the key writes: every link right, the signature the old one."""
    link, text = FIRST_LINK, b""
    for entry in entries:
        link = next_link(link, body_of(entry))
        text += encode_line(entry, link, signature if isinstance(entry, End) else None)
    return text


# Reading what was written


def test_it_says_what_happened(signed) -> None:
    header, stretch, *gops, end = read(signed.path)
    assert isinstance(header, Header)
    assert (header.source, header.target) == (signed.spare.identity, signed.server.identity)
    assert (header.lease, header.key) == (7, key_id(KEY.public_key()))
    assert isinstance(stretch, StretchEntry)
    assert stretch.provenance.recorder == "spare-1"
    assert stretch.provenance.inserted_from == signed.spare.identity
    assert stretch.provenance.correction == Correction(offset_ns=-3_000_000)
    assert (Path(signed.server.location) / stretch.file).name.endswith(f"-{stretch.segment}.mp4")
    assert (stretch.gops, stretch.frames) == (len(gops), 40)
    assert end == End(stretches=1, gops=len(gops), frames=40, bytes=stretch.bytes)
    report = verify_manifest(signed.path, signed.server, key=KEY.public_key())
    assert (report.sound, report.signature, report.key) == (True, Signature.GOOD, header.key)
    assert header.key in report.summary


def test_one_merge_has_one_manifest(signed, scratch: Path) -> None:
    header, *entries, _ = read(signed.path)
    write_manifest(scratch, header, entries, KEY)
    assert scratch.read_bytes() == signed.text
    scratch.unlink()


sha = st.binary(min_size=32, max_size=32).map(bytes.hex)


@st.composite
def gop_entries(draw: st.DrawFn) -> GopEntry:
    counts = draw(st.lists(st.integers(0, 4), min_size=1, max_size=4))
    sizes = tuple(draw(st.integers(0, 3 * BLOCK_BYTES)) for _ in range(sum(counts)))
    heads = [draw(st.integers(1, 900)) for _ in counts]
    tracks = [draw(st.integers(1, 3)) for _ in sizes]
    pieces = len(sizes) + len(heads)
    blocks = sum(map(blocks_of, (*sizes, *heads)))
    times = tuple(draw(st.integers(0, 10**10)) for _ in sizes)
    return GopEntry(
        start_ns=draw(st.integers(0, 2**61)),
        shift_ns=draw(st.integers(-(2**50), 2**50)),
        epoch=draw(st.integers(0, 9)),
        offset=draw(st.integers(0, 2**40)),
        bytes=sum(sizes) + sum(heads),
        frames=draw(st.integers(0, len(sizes))),
        sha256=draw(sha),
        heads_sha256=draw(sha),
        fragments=tuple(zip(heads, counts, strict=True)),
        tracks=tuple((track, len(list(run))) for track, run in itertools.groupby(tracks)),
        times=times,
        dts=draw(st.sampled_from([(), times])),
        sizes=sizes,
        marks=draw(st.binary(min_size=8 * pieces, max_size=8 * pieces)).hex(),
        crcs=draw(st.binary(min_size=4 * blocks, max_size=4 * blocks)).hex(),
    )


@given(gop_entries(), st.binary(min_size=32, max_size=32))
def test_entries_survive_the_way_there_and_back(entry: GopEntry, link: bytes) -> None:
    line = encode_line(entry, link)
    assert line.count(b"\n") == 1
    assert decode_line(line[:-1]) == Line(entry, body_of(entry), link, None)
    entry.check()


@given(gop_entries())
def test_pieces_cover_a_gop_without_holes(entry: GopEntry) -> None:
    at = samples = heads = 0
    marks = crcs = ""
    for piece in entry.pieces():
        assert piece.offset == at
        at += piece.size
        marks, crcs = marks + piece.mark, crcs + piece.crcs
        if piece.sample:
            samples += 1
            assert (piece.sample, piece.size) == (samples, entry.sizes[samples - 1])
            assert piece.time_ns == entry.times[samples - 1]
        else:
            heads += 1
            assert (piece.fragment, piece.size) == (heads, entry.fragments[heads - 1][0])
    assert (at, marks, crcs) == (entry.bytes, entry.marks, entry.crcs)
    assert (samples, heads) == (len(entry.sizes), len(entry.fragments))


@given(gop_entries(), st.data())
def test_a_gop_that_contradicts_itself_is_refused(entry: GopEntry, data: st.DataObject) -> None:
    wrong = {
        "start_ns": data.draw(st.sampled_from([-(10**20), 10**21])),
        "bytes": entry.bytes + 1,
        "fragments": (*entry.fragments, (0, 1)),
        "tracks": (*entry.tracks, (1, 10**15)),
        "times": (*entry.times, 1),
        "sizes": (*entry.sizes, -1),
        "marks": entry.marks + "00",
        "crcs": entry.crcs + "00000000",
    }
    name = data.draw(st.sampled_from(sorted(wrong)))
    with pytest.raises(ValueError):
        msgspec.structs.replace(entry, **{name: wrong[name]}).check()


@given(st.binary(max_size=300))
def test_garbage_is_no_line(text: bytes) -> None:
    with pytest.raises(ValueError):
        decode_line(text)


@pytest.mark.parametrize(
    "other",
    [
        b'{"kind": "end","stretches":0,"gops":0,"frames":0,"bytes":0',
        b'{"kind":"end","gops":0,"stretches":0,"frames":0,"bytes":0',
        b'{"kind":"end","stretches":0,"stretches":0,"gops":0,"frames":0,"bytes":0',
        b'{"kind":"end","stretches":0,"gops":0,"frames":0,"bytes":0,"more":1',
        b'{"kind":"end","stretches":0,"gops":0,"frames":0,"bytes":0.0',
        b'{"kind":"else","stretches":0,"gops":0,"frames":0,"bytes":0',
    ],
)
def test_there_is_one_way_to_write_a_line(other: bytes) -> None:
    end = End(stretches=0, gops=0, frames=0, bytes=0)
    line = encode_line(end, bytes(32), "")[:-1]
    assert decode_line(line).entry == end
    with pytest.raises(ValueError):
        decode_line(line.replace(body_of(end), other))


# Tampering


def change_of(signed, scratch: Path, text: bytes, key: Ed25519PrivateKey | None = None):
    """The kind of the first change, or the error, that a manifest with this text gives."""
    scratch.write_bytes(text)
    public = None if key is None else key.public_key()
    report = verify_manifest(scratch, signed.server, key=public)
    return report.changes[0] if report.changes else None


@given(st.data())
@settings(max_examples=300)
def test_any_changed_byte_is_found(signed, scratch: Path, data: st.DataObject) -> None:
    text = bytearray(signed.text)
    signature = signed.text.rindex(b'"signature":"') + 13
    at = data.draw(st.integers(0, len(text) - 1))
    text[at] ^= data.draw(st.integers(1, 255))
    try:
        change = change_of(signed, scratch, bytes(text), KEY)
    except UsageError:
        assert at < len(signed.lines[0])
        return
    assert change is not None
    if change.kind is ChangeKind.SIGNATURE:
        assert at >= signature
    else:
        number = 1 + signed.text[:at].count(b"\n")
        assert change.kind is ChangeKind.MANIFEST
        assert change.where in (f"{scratch}: line {number}", f"{scratch}: line {number + 1}")


@given(st.data())
@settings(max_examples=200)
def test_lines_that_are_moved_removed_or_added_are_found(signed, scratch: Path, data: st.DataObject) -> None:
    numbers = list(range(len(signed.lines)))
    kind = data.draw(st.sampled_from(["order", "some", "repeat", "cut"]))
    if kind == "order":
        chosen = data.draw(st.permutations(numbers))
    elif kind == "some":
        chosen = sorted(data.draw(st.sets(st.sampled_from(numbers))))
    elif kind == "repeat":
        at = data.draw(st.integers(0, len(numbers)))
        chosen = [*numbers[:at], data.draw(st.sampled_from(numbers)), *numbers[at:]]
    else:
        chosen = numbers[: data.draw(st.integers(0, len(numbers)))]
    text = b"".join(signed.lines[number] for number in chosen)
    if kind == "cut":
        text = signed.text[: data.draw(st.integers(0, len(signed.text) - 1))]
    if text == signed.text:
        assert change_of(signed, scratch, text, KEY) is None
        return
    try:
        change = change_of(signed, scratch, text)
    except UsageError:
        assert not text.startswith(signed.lines[0])
        return
    assert change is not None
    assert change.kind is ChangeKind.MANIFEST


def test_the_line_that_breaks_the_chain_is_named(signed, scratch: Path) -> None:
    lines = [*signed.lines]
    del lines[3]
    change = change_of(signed, scratch, b"".join(lines))
    assert str(change).startswith(f"{scratch}: line 4: breaks the chain: it was changed, or lines were ")


def test_a_new_chain_has_no_signature(signed, scratch: Path) -> None:
    """Whoever changes a manifest can compute a new chain, but not sign it."""
    lines = [decode_line(line[:-1]) for line in signed.lines]
    entries = [line.entry for line in lines]
    header, stretch = entries[:2]
    provenance = msgspec.structs.replace(stretch.provenance, lease=9)
    entries[1] = msgspec.structs.replace(stretch, provenance=provenance)
    change = change_of(signed, scratch, forged(lines, entries, lines[-1].signature), KEY)
    assert change.kind is ChangeKind.SIGNATURE
    assert "manifest was changed" in change.what
    unsigned = [msgspec.structs.replace(header, key=""), *entries[1:]]
    assert "not signed" in change_of(signed, scratch, forged(lines, unsigned, ""), KEY).what
    change = change_of(signed, scratch, forged(lines, unsigned, ""))
    assert change.kind is ChangeKind.INDEX  # without a key, only the store speaks against it


_VALUES = {
    int: st.one_of(st.integers(-3, 3), st.integers(-(2**70), 2**70)),
    str: st.one_of(st.sampled_from(["", "0", "-1", "\x1b[0m", "../x"]), st.text(max_size=70)),
    tuple: st.lists(st.integers(-5, 2**40), max_size=3).map(tuple),
}


@given(st.data())
@settings(max_examples=300)
def test_a_forgery_is_an_answer_not_a_crash(signed, scratch: Path, data: st.DataObject) -> None:
    """Anybody can write a manifest with a right chain and without a signature, saying anything."""
    lines = [decode_line(line[:-1]) for line in signed.lines]
    entries = [lines[0].entry, *(line.entry for line in lines[1:])]
    entries[0] = msgspec.structs.replace(entries[0], key="")
    number = data.draw(st.integers(0, len(entries) - 1))
    entry = entries[number]
    names = [name for name in entry.__struct_fields__ if name not in ("provenance", "tracks", "fragments")]
    name = data.draw(st.sampled_from(names))
    value = data.draw(_VALUES[type(getattr(entry, name))])
    if isinstance(value, tuple):
        value = data.draw(st.sampled_from([value, getattr(entry, name)[:-1], getattr(entry, name)[::-1]]))
    entries[number] = msgspec.structs.replace(entry, **{name: value})
    try:
        text = forged(lines, entries, "")
    except UnicodeEncodeError:  # half a character: no JSON can hold it
        return
    try:
        change = change_of(signed, scratch, text)
    except UsageError:
        assert number == 0
        return
    if change is None:
        free = ("source", "created", "lease", "file", "marks", "crcs", "header_crcs")
        assert entries[number] == entry or name in free
    else:
        assert str(change).isprintable()


def test_a_signature_cannot_be_taken_off(signed, scratch: Path) -> None:
    text = signed.text[: signed.text.rindex(b'"signature":"')] + b'"signature":""}\n'
    for key in (None, KEY):
        change = change_of(signed, scratch, text, key)
        assert change.kind is ChangeKind.SIGNATURE
        assert "missing" in change.what


def test_another_key(signed) -> None:
    report = verify_manifest(signed.path, signed.server, key=OTHER.public_key())
    assert report.signature is Signature.BAD
    assert key_id(OTHER.public_key()) in str(report.changes[0])


def test_a_signature_that_nobody_checks_is_told(signed) -> None:
    report = verify_manifest(signed.path, signed.server)
    assert (report.sound, report.signature) == (True, Signature.UNCHECKED)
    assert "not checked: give --public-key" in report.summary


def test_a_manifest_without_a_signature_says_so(made) -> None:
    report = verify_manifest(made.manifest, made.server)
    assert (report.signature, report.key) == (Signature.ABSENT, "")
    assert "not signed" in report.summary
    report = verify_manifest(made.manifest, made.server, key=KEY.public_key())
    assert (report.sound, report.signature) == (False, Signature.BAD)


# What is no manifest


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "an empty file"),
        (b"\x00\x01\x02" * 100, "not a custody manifest"),
        (b'{"kind":"else"}\n', "not a custody manifest"),
        (b"[" * 100_000, "not a custody manifest"),
        (
            b'{"kind":"fovideo-manifest","version":2,"new":[]}\n',
            "version 2 is unknown (a newer fovideo wrote it)",
        ),
    ],
)
def test_other_files_are_refused_in_one_line(made, tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(UsageError) as caught:
        verify_manifest(tmp_path / "m", made.server)
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_file(made, tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(UsageError, match="cannot be read"):
            verify_manifest(path, made.server)


def test_a_manifest_of_another_store(made, signed) -> None:
    with pytest.raises(UsageError, match="the manifest is of store"):
        verify_manifest(signed.path, made.server)


def test_its_errors_are_errors_of_fovideo(signed, scratch: Path) -> None:
    scratch.write_bytes(signed.text[:-1])
    with pytest.raises(ManifestDamaged) as caught:
        read(scratch)
    assert isinstance(caught.value, FovideoError)
    assert caught.value.exit_code == 1
