"""A server for cameras."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fovideo.replay import RtspServer


@pytest.fixture
def server() -> Iterator[RtspServer]:
    with RtspServer() as made:
        yield made
