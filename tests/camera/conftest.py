"""A clip for cameras."""

from __future__ import annotations

from pathlib import Path

import pytest

from fovideo.replay import make_clip


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """H.264 and AAC, 2 s."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    make_clip(path, gop=10, seconds=2, audio="aac", width=160, height=96)
    return path
