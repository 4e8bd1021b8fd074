from collections.abc import Iterable, Sequence

from typing_extensions import Buffer

def measure(parts: Iterable[Buffer], crc: int = 0) -> tuple[int, list[int]]:
    """CRC-32C of the buffers one after the other, behind bytes whose CRC-32C is `crc`; and each one's bytes.

    One call for a whole fragment: the GIL is let go at most once, and only for as much as is worth it.
    """

def gather(parts: Sequence[Buffer], out: Buffer, at: int) -> tuple[int, list[int]]:
    """As measure, and a copy of the parts, one behind the other, at byte `at` of `out`. ValueError: no room."""
