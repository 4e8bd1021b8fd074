"""Rows of an index as columns of numbers."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fovideo.timeline.values import Gop

START: int
END: int
INTERVAL: int
FRAMES: int
FLAGS: int
PROVENANCE: int
EPOCH: int
SHIFT: int
SAMPLES: int
KEY: int
CONTENT: int
"""Columns: fields of the row; rows of its frame table; the first digest in it; a digest of all digests in it."""

COLUMNS: int

def columns(rows: Sequence[Gop], out: npt.NDArray[np.int64]) -> None:
    """Fill `out`, of shape (rows, COLUMNS), column after column (order "F"). Frame tables are not unpacked: their
    digests lie open at the end.

    SAMPLES, KEY and CONTENT are 0 for a table that is none. Digests are the same 64 bits as signed numbers.
    """

def partners(
    keys: npt.NDArray[np.int64], theirs: npt.NDArray[np.int64], partner: npt.NDArray[np.int64]
) -> None:
    """For each key that comes once on our side, and once on theirs, its place there; else -1."""
