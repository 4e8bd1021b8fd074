"""Digests and checksums beside those that can be had from PyPI."""

from __future__ import annotations

import os
import struct

import pytest

from fovideo.media.codec import Codec
from fovideo.media.nal import crc32c, digest_video, xxh64

BODY = b"\x65" + os.urandom(40_000)
SAMPLE = struct.pack(">I", len(BODY)) + BODY


def test_crc32c(benchmark) -> None:
    google = pytest.importorskip("google_crc32c")
    assert benchmark(crc32c, BODY) == google.value(BODY)


def test_google_crc32c(benchmark) -> None:
    google = pytest.importorskip("google_crc32c")
    benchmark(google.value, BODY)


def test_xxh64(benchmark) -> None:
    xxhash = pytest.importorskip("xxhash")
    assert benchmark(xxh64, BODY) == xxhash.xxh64_intdigest(BODY)


def test_xxhash(benchmark) -> None:
    xxhash = pytest.importorskip("xxhash")
    benchmark(xxhash.xxh64_intdigest, BODY)


def test_digest_of_a_frame(benchmark) -> None:
    assert benchmark(digest_video, SAMPLE, Codec.H264)
