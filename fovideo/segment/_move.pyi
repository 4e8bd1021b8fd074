"""Fragments moved to another file in one pass, without the GIL."""

from collections.abc import Sequence

from typing_extensions import Buffer

def move(
    data: Buffer,
    tracks: Sequence[tuple[int, int, int, int, int, int]],
    carries: Buffer,
    uuid: Buffer,
    version: int,
    sequence: int,
    base_ns: int,
    epoch: int,
) -> tuple[bytearray, list[tuple[int, int, int, int]]] | None:
    """Check the fragments that fill a writable buffer, and give each its head for another file, in place.

    tracks: as _columns.boxes takes them; carries: as _samples.check. uuid, version: of fragments. sequence:
    of the first in its new file; base_ns, epoch: of that file.
    Returns the rows of their frame tables, and for each fragment its offset, bytes, bytes before its samples,
    and rows. Fewer fragments than fill the buffer: the next one is wrong, or is none of the usual ones, and
    is unchanged. None: some are none of the usual ones, and all are unchanged.
    Digests of packed documents are not looked at.
    """
