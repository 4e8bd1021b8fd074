from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fovideo.store import Store, StoreOptions
from fovideo.times import NS_PER_S


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store", write=True, create=True) as store:
        yield store


@pytest.fixture
def short_store(tmp_path: Path) -> Iterator[Store]:
    """A store whose segments last 4 s."""
    options = StoreOptions(segment_duration_ns=4 * NS_PER_S)
    with Store.open(tmp_path / "short", write=True, create=True, options=options) as store:
        yield store
