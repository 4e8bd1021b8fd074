"""The demo as users run it: generated clips, real footage, and cameras that we did not write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from command import fovideo
from gst_cameras import SHARED, access_units, gst_cameras, require

FPS = 25  # of the clips that the demo makes

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


def _demo(*arguments: str | Path, timeout: float = 180) -> dict[str, Any]:
    done = fovideo("demo", "--json", *arguments, timeout=timeout)
    assert done.returncode in (0, 1), done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    for camera in result["cameras"]:
        assert camera["sent"] > 50
        assert (camera["missing"], camera["duplicate"]) == (0, 0), result["cameras"]
    assert done.returncode == 0
    return result


def test_every_frame_once_and_the_same_pictures(tmp_path: Path) -> None:
    """Decoding the healed timeline gives no error, and the pictures that the camera's clip holds."""
    kept = tmp_path / "demo"
    result = _demo("--keep", kept)
    assert len(result["cameras"]) == 2
    assert any(span["provenance"].startswith("spare-1") for s in result["after"] for span in s["spans"])
    for name, clip in (("cam0", "gate.mp4"), ("cam1", "yard.mp4")):
        out = tmp_path / f"{name}.mp4"
        assert fovideo("replay", kept / "rec-1", name, "-o", out).returncode == 0
        sent = [picture for _, picture in _pictures(kept / clip)]
        shown = _pictures(out)
        assert len(shown) > len(sent)
        first = next(at for at, picture in enumerate(sent) if np.array_equal(picture, shown[0][1]))
        numbers = [number for number, _ in shown]
        # The recording may end between a frame and those that are decoded after and shown before it.
        whole = len(numbers) - (name == "cam1")
        assert numbers[:whole] == list(range(numbers[0], numbers[0] + whole))
        assert numbers[-1] - numbers[0] < len(numbers) + 2
        for number, picture in shown:
            assert np.array_equal(picture, sent[(first + number - numbers[0]) % len(sent)]), (name, number)


def _pictures(path: Path) -> list[tuple[int, np.ndarray]]:
    """Number by time, and picture, of each frame."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.options = {"err_detect": "explode"}
        return [
            (round(frame.pts * stream.time_base * FPS), frame.to_ndarray(format="gray"))
            for frame in container.decode(video=0)
        ]


def test_footage_of_real_cameras_and_a_server_that_we_did_not_write(tmp_path: Path) -> None:
    require()
    units = access_units("car-detection.mp4", tmp_path)
    clips = ("car-detection.mp4", "one-by-one-person-detection.mp4")
    with gst_cameras(units, count=2, fps=12) as cameras:
        arguments: list[str | Path] = ["--camera", cameras.url(0), "--camera", cameras.url(1)]
        for clip in clips:
            arguments += ["--clip", SHARED / "clips" / clip]
        result = _demo(*arguments)
    assert [camera["name"] for camera in result["cameras"]] == ["cam0", "cam1", "cam2", "cam3"]


def test_a_clip_that_is_no_video_is_one_line(tmp_path: Path) -> None:
    note = tmp_path / "note.mp4"
    note.write_text("not a video")
    done = fovideo("demo", "--clip", note)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert "note.mp4" in done.stderr
