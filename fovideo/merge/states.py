"""What becomes of a frame of the source. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

NEW, THERE, CLASH, KEPT, LATER, DOUBT, MAYBE = range(7)
"""State of a frame: the target lacks it; has it; has other content at its instant; has it as a conflict; not
now; has an equal one, but perhaps of another lap; lacks it, unless it is an equal one elsewhere.
"""

States = npt.NDArray[np.uint8]
"""A state for each frame of a row or a run."""
