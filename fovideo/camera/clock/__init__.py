"""Stamping: from what a camera's reader saw to frames with wall clock, decode time and epoch. Pure."""

from fovideo.camera.clock.settings import StampSettings
from fovideo.camera.clock.stamped import Backdate, Piece, Stamped
from fovideo.camera.clock.stamper import Stamper

__all__ = ["Backdate", "Piece", "StampSettings", "Stamped", "Stamper"]
