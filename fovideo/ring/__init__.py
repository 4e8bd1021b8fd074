"""Ring: bounded lock-free queue between a camera's reader and the writer."""

from fovideo.media.nal import Packing
from fovideo.ring._ring import Ring, leading
from fovideo.ring.preroll import trim_position
from fovideo.ring.units import NO_TIME, UNIT, Kind, Units

__all__ = ["NO_TIME", "UNIT", "Kind", "Packing", "Ring", "Units", "leading", "trim_position"]
