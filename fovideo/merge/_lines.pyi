"""Lines of frames: taken out of frame tables, and compared in one walk through two. Contiguous arrays only."""

import numpy as np
import numpy.typing as npt

from fovideo.media.frames import FrameTable

def line(
    frames: FrameTable,
    track: int,
    flags: int,
    time_ns: npt.NDArray[np.int64],
    digest: npt.NDArray[np.uint64],
    index: npt.NDArray[np.int64],
    flagged: npt.NDArray[np.uint8],
) -> tuple[int, bool]:
    """Fill in the rows of a track: time_ns, digest, number of the row, and whether one of `flags` is set.

    How many there are, and whether their times never decrease. ValueError for what is no frame table, or
    does not fit.
    """

def partners(
    time_ns: npt.NDArray[np.int64],
    digest: npt.NDArray[np.uint64],
    their_ns: npt.NDArray[np.int64],
    theirs: npt.NDArray[np.uint64],
    tolerance_ns: int,
    partner: npt.NDArray[np.int64],
) -> None:
    """For each of our frames, of theirs the last before it or the first not before it: whichever has the same
    digest within the tolerance; the nearer of two, the earlier if both are as near; -1 = none.

    their_ns never decreases; ours may come in any order, but costs least if it rises too.
    """

def covered(
    at_ns: npt.NDArray[np.int64],
    time_ns: npt.NDArray[np.int64],
    close_ns: int,
    reach_ns: int,
    out: npt.NDArray[np.uint8],
) -> None:
    """Which instants lie between two neighbours of time_ns that are at most close_ns apart, or within reach_ns of
    one. time_ns never decreases.
    """
