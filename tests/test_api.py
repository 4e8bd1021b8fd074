"""The public names, and the README's example as written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from free_ports import free_port

import fovideo
from fovideo.replay import LoopSource, RtspServer, make_clip

README = Path(__file__).parent.parent / "README.md"


def test_every_public_name_is_there() -> None:
    for name in fovideo.__all__:
        assert getattr(fovideo, name).__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = fovideo.nonsense


def test_importing_loads_next_to_nothing() -> None:
    code = "import fovideo, sys; sys.exit(any(m in sys.modules for m in ('av', 'lmdb', 'numpy', 'httpx')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.skipif(not README.exists(), reason="the README lies in the repository")
def test_the_readme_example_runs_as_written(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    clip = tmp_path / "clip.mp4"
    make_clip(clip, width=160, height=96, seconds=2, gop=10)
    with RtspServer(port=free_port()) as server:
        url = server.add_stream("cam0", LoopSource(clip))
        assert "rtsp://127.0.0.1:8554/cam0" in code
        done = subprocess.run(
            [sys.executable, "-c", code.replace("rtsp://127.0.0.1:8554/cam0", url)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    assert "live" in lines[0]
    assert "streams" in lines[-2]
    assert int(lines[-1].split()[-1]) > 0
