"""Finding a change by its CRC alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fovideo.custody.locate import LONGEST_BYTES, Change, short_changes
from fovideo.media.nal import crc32c


def changed(data: bytes, change: Change) -> bytes:
    end = change.offset + len(change.mask)
    inner = bytes(a ^ b for a, b in zip(data[change.offset : end], change.mask, strict=True))
    return data[: change.offset] + inner + data[end:]


@st.composite
def changes(draw: st.DrawFn) -> tuple[bytes, Change]:
    data = draw(st.binary(min_size=1, max_size=4096))
    mask = draw(st.binary(min_size=1, max_size=min(LONGEST_BYTES, len(data))))
    mask = bytes([mask[0] or 1, *mask[1:-1], *([mask[-1] or 1] if len(mask) > 1 else [])])
    return data, Change(draw(st.integers(0, len(data) - len(mask))), mask)


@given(changes())
def test_a_short_change_is_among_the_candidates(case: tuple[bytes, Change]) -> None:
    data, change = case
    found = short_changes(len(data), crc32c(data), crc32c(changed(data, change)))
    assert change in found
    assert [len(each.mask) for each in found] == sorted(len(each.mask) for each in found)


@given(changes())
def test_every_candidate_explains_the_crc(case: tuple[bytes, Change]) -> None:
    data, change = case
    now = changed(data, change)
    for found in short_changes(len(data), crc32c(data), crc32c(now)):
        assert found.offset + len(found.mask) <= len(data)
        assert crc32c(changed(now, found)) == crc32c(data)


@given(st.binary(min_size=1, max_size=4096), st.data())
def test_one_byte_is_unambiguous(data: bytes, draw: st.DataObject) -> None:
    change = Change(draw.draw(st.integers(0, len(data) - 1)), bytes([draw.draw(st.integers(1, 255))]))
    found = short_changes(len(data), crc32c(data), crc32c(changed(data, change)))
    assert [each for each in found if len(each.mask) == 1] == [change]


def test_nothing_changed() -> None:
    assert short_changes(100, 7, 7) == []
