"""A merging process that is killed with SIGKILL at random instants, and run again: nothing is lost or
doubled.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from merge_film import Recorder, film, held, numbers, play
from merge_world import Wrong

from fovideo.store import Store

KILLS = int(os.environ.get("FOVIDEO_KILLS", "8"))

PROGRAM = """
import sys
from fovideo.merge import merge
from fovideo.store import Store
with Store.open(sys.argv[1], write=True) as source, Store.open(sys.argv[2], write=True) as target:
    print("open", flush=True)
    report = merge(source, target, progress=lambda done: print(done.frames, flush=True))
    print("inserted", report.streams[0].inserted_frames, flush=True)
"""


def run(source: Path, target: Path, *, until: int | None) -> list[str]:
    """Run the merge; kill it when it has printed so many lines, or let it end."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(source), str(target)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.strip())
            if until is not None and len(lines) > until:
                process.kill()
                break
        process.wait()
    return lines


@pytest.mark.slow
def test_killed_again_and_again(recorder: Callable[[str], Recorder], tmp_path: Path) -> None:
    camera, chance = film(600, b_frames=2), random.Random(5)
    server, spare = recorder("server"), recorder("spare")
    server.record(camera.part(0, 83))
    server.record(camera.part(541, 600))
    spare.record(camera.part(48, 572), wrong=Wrong(3_000_000_000), lost=range(300, 310))
    server.close()
    spare.close()
    before = 0
    for _ in range(KILLS):
        run(tmp_path / "spare", tmp_path / "server", until=chance.randint(0, 3))
        with Store.open(tmp_path / "server", write=True) as store:
            found = held(store)
            assert len(found) == len(set(found)) >= before
            assert store.check().problems == []
            before = len(found)
    lines = run(tmp_path / "spare", tmp_path / "server", until=None)
    assert lines[-1].startswith("inserted")
    with Store.open(tmp_path / "server", write=True) as store:
        expected = [number for number in range(600) if not 300 <= number < 310]
        assert numbers(store, decodable=False) == expected
        assert play(store)[1] == []
    assert run(tmp_path / "spare", tmp_path / "server", until=None)[-1] == "inserted 0"
