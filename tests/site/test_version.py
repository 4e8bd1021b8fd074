"""Versions of a configuration: numbers only rise, and everybody comes to the same one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fovideo.site.version import Version, begun, digest, following, newest


def version(number: int, text: str) -> Version:
    return Version(number=number, hash=digest(text), text=text)


versions = st.builds(version, st.integers(1, 4), st.sampled_from(["a", "b", "c"]))


@given(st.lists(versions), st.randoms())
def test_the_order_in_which_they_are_heard_of_does_not_matter(known: list[Version], chance: object) -> None:
    shuffled = list(known)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert newest(known) == newest(shuffled)
    current: Version | None = None
    for each in shuffled:
        if each.is_newer_than(current):
            current = each
    assert current == newest(known)


@given(st.lists(versions), st.sampled_from(["a", "b", "z"]), st.sampled_from(["", "a", "z"]))
def test_a_manager_that_starts_never_goes_back(known: list[Version], text: str, seen: str) -> None:
    start = begun(known, text, digest(seen) if seen else "", by="mgmt", now_ns=1)
    before = newest(known)
    assert start.version.is_sound
    if before is not None:
        assert start.version == before or start.version.number == before.number + 1
    edited = bool(seen) and seen != text
    if before is None or edited:
        assert start.version.text == text
    assert start.overruled == (start.version.text != text)


def test_the_same_text_is_no_new_version() -> None:
    first = following(None, "x", by="mgmt", now_ns=1)
    assert (first.number, following(first, "x", by="other", now_ns=2)) == (1, first)
    assert following(first, "y", by="other", now_ns=2).number == 2
    assert "x" not in repr(version(1, "secret x")).split("(")[1].split(",")[0]
    assert "secret" not in repr(version(1, "secret"))


def test_another_licence_is_a_new_version() -> None:
    first = following(None, "x", by="mgmt", now_ns=1)
    second = following(first, "x", by="mgmt", now_ns=2, licence="L")
    assert (second.number, second.text, second.licence, second.is_sound) == (2, "x", "L", True)
    assert following(second, "x", by="mgmt", now_ns=3, licence="L") is second
    start = begun([second], "x", digest("x", "L"), by="mgmt", now_ns=4, licence="M")
    assert (start.version.number, start.version.licence) == (3, "M")
