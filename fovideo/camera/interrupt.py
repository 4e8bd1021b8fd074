"""Making a blocked read of libavformat return, where the compiled helper fits the PyAV that is installed."""

from __future__ import annotations

from av.container import InputContainer

try:
    from fovideo.camera._interrupt import can_interrupt, interrupt
except ImportError:  # pragma: no cover - a build without extensions

    def can_interrupt(container: InputContainer) -> bool:
        return False

    def interrupt(container: InputContainer) -> None:
        raise NotImplementedError


__all__ = ["can_interrupt", "interrupt"]
