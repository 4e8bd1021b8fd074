"""The ring's header under a race detector, and free of undefined behaviour, without Python in the process.

FOVIDEO_RING_SECONDS (default 0.2) is how long each program runs.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from compiled_c import build, run

SOURCE = Path(__file__).with_name("ring_check.c")
SECONDS = os.environ.get("FOVIDEO_RING_SECONDS", "0.2")
SIZES = [(65_536, 40), (65_536, 20_000), (131_072, 131_072)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("ring")
    return {
        "thread": build(SOURCE, folder / "tsan", "-fsanitize=thread"),
        "broken": build(SOURCE, folder / "broken", "-fsanitize=thread", "-DBROKEN"),
        "address": build(
            SOURCE, folder / "asan", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"
        ),
    }


def test_the_path_for_systems_without_shared_memory(tmp_path: Path) -> None:
    program = build(SOURCE, tmp_path / "portable", "-fsanitize=thread", "-U__linux__", "-D_GNU_SOURCE")
    result = run(program, "shared", SECONDS, 65_536, 20_000)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout.split()[0]) > 10


@pytest.mark.parametrize(("capacity", "largest"), SIZES)
@pytest.mark.parametrize("layout", ["plain", "shared"])
@pytest.mark.parametrize("sanitizer", ["thread", "address"])
def test_no_race_and_no_wrong_byte(
    built: dict[str, Path], sanitizer: str, layout: str, capacity: int, largest: int
) -> None:
    result = run(built[sanitizer], layout, SECONDS, capacity, largest)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert int(result.stdout.split()[0]) > 10


@pytest.mark.parametrize(
    ("capacity", "largest", "keep"), [(65_536, 3_000, 32_768), (262_144, 20_000, 32_768)]
)
@pytest.mark.parametrize("sanitizer", ["thread", "address"])
def test_a_ring_that_goes_back_to_its_pages(
    built: dict[str, Path], sanitizer: str, capacity: int, largest: int, keep: int
) -> None:
    result = run(built[sanitizer], "shared", SECONDS, capacity, largest, keep)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert int(result.stdout.split()[0]) > 10


def test_the_detector_sees_indices_without_order(built: dict[str, Path]) -> None:
    result = run(built["broken"], "plain", SECONDS, 65_536, 40)
    assert "data race" in result.stderr
