"""Digest and checksum against the libraries that define them."""

from __future__ import annotations

import os
import threading

import google_crc32c
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from fovideo.media.nal import HARDWARE_CRC32C, crc32c, crc32c_software, xxh64

BLOCK = os.urandom(40_000)
SIZES = [0, 1, 3, 4, 7, 8, 31, 32, 33, 63, 64, 383, 384, 385, 4079, 4080, 4081, 4095, 4096, 8160, 39_999]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("start", [0, 1, 5])
def test_sizes_around_the_block_boundaries(size: int, start: int) -> None:
    data = memoryview(BLOCK)[start : start + size]
    assert xxh64(data) == xxhash.xxh64_intdigest(data)
    assert crc32c(data) == crc32c_software(data) == google_crc32c.value(bytes(data))


@given(st.binary(max_size=2000), st.integers(1, 12), st.binary(max_size=50))
def test_any_bytes(head: bytes, repeat: int, tail: bytes) -> None:
    data = head * repeat + tail
    assert xxh64(data) == xxhash.xxh64_intdigest(data)
    assert crc32c(data) == crc32c_software(data) == google_crc32c.value(data)


@given(st.binary(max_size=3000), st.integers(0, 3000))
def test_a_checksum_can_be_continued(data: bytes, at: int) -> None:
    assert crc32c(data[at:], crc32c(data[:at])) == crc32c(data)
    assert crc32c_software(data[at:], crc32c_software(data[:at])) == crc32c(data)


def test_known_values() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4
    assert xxh64(b"") == 0xEF46DB3751D8E999


def test_hardware_is_used_where_the_processor_has_it() -> None:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as info:  # noqa: PTH123
            flags = info.read()
    except OSError:
        pytest.skip("no /proc/cpuinfo on this system")
    if " sse4_2 " in flags:
        assert HARDWARE_CRC32C


def test_threads_at_once() -> None:
    expected = xxh64(BLOCK), crc32c(BLOCK)
    found: list[tuple[int, int]] = []

    def work() -> None:
        for _ in range(50):
            found.append((xxh64(BLOCK), crc32c(BLOCK)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {expected}
