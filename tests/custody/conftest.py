from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from custody_world import inserted_rows, merged, outage

from fovideo.merge import MergeReport
from fovideo.store import Store
from fovideo.timeline.endpoint import FileRange
from fovideo.timeline.values import Gop


class Merged(NamedTuple):
    """A merge that was made, its stores still open, and its manifest. file: the segment it inserted."""

    spare: Store
    server: Store
    manifest: Path
    report: MergeReport
    rows: list[Gop]
    file: Path

    def place(self, number: int = 0) -> FileRange:
        """Where the bytes of an inserted row lie."""
        found = self.server.read("gate", self.rows[number])
        assert isinstance(found, FileRange)
        return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Merged]:
    """For tests that leave the stores as they are."""
    yield from _made(tmp_path_factory.mktemp("made"))


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Merged]:
    """For tests that don't."""
    yield from _made(tmp_path)


def _made(folder: Path) -> Iterator[Merged]:
    spare, server = outage(folder)
    with spare, server:
        report, _ = merged(spare, server, folder / "merge.manifest")
        rows = inserted_rows(server)
        place = server.read("gate", rows[0])
        yield Merged(spare, server, folder / "merge.manifest", report, rows, Path(place.path))
