"""Samples of many fragments checked in one go, without the GIL."""

from collections.abc import Iterable

from typing_extensions import Buffer

NONE: int
PLAIN: int
H264: int
H265: int
PACKED: int
"""What a track carries: nothing known, samples digested whole, NAL units, or documents packed together."""

LONG: int
TRACK: int
DIGEST: int
CRC: int
"""What is wrong: samples beyond the end, a track that carries NONE, another digest, another checksum."""

def check(
    data: Buffer, pieces: Iterable[tuple[int, int, int, Buffer]], carries: Buffer
) -> tuple[int, int] | None:
    """The first piece that is wrong, and why; None if all are right.

    pieces: of `data`, each (offset of the first sample, bytes of the samples, their CRC-32C, frame table).
    carries: 256 bytes, by track id. Digests of PACKED tracks are not looked at.
    """
