from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from merge_film import Recorder


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Callable[[str], Recorder]]:
    """Makes recorders with stores of their own, closed at the end."""
    made: list[Recorder] = []

    def make(name: str) -> Recorder:
        made.append(Recorder(tmp_path, name))
        return made[-1]

    yield make
    for each in made:
        each.close()
