"""Clips that several test modules play, encoded once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fovideo.replay import Clip, load_clip, make_clip


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Clip]:
    """clip(codec, b_frames=..., audio=...): a short clip, small enough for any test."""
    folder = tmp_path_factory.mktemp("clips")
    made: dict[Path, Clip] = {}

    def get(codec: str = "h264", *, b_frames: int = 0, audio: str | None = None, gop: int = 10) -> Clip:
        suffix = "mov" if audio in ("pcmu", "pcma") else "mp4"
        path = folder / f"{codec}-{b_frames}-{audio}-{gop}.{suffix}"
        if path not in made:
            make_clip(
                path,
                codec,
                width=160,
                height=96,
                seconds=1.2,
                gop=gop,
                b_frames=b_frames,
                audio=audio,
                seed=gop,
            )
            made[path] = load_clip(path)
        return made[path]

    return get
