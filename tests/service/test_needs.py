"""What spares must hold in memory, and whether there is room for it."""

from __future__ import annotations

from pathlib import Path

from site_text import camera, machine

from fovideo.service.needs import memory_problems, ring_problems, spare_needs
from fovideo.site import Site, load_site

RATE = 4_000_000
PREROLL_BYTES = 6_250_000
"""Of 10 s at RATE, with a quarter more."""


def site_of(folder: Path, cameras: int, ring: str = "32MiB") -> Site:
    text = '[site]\nname = "plant"\n' + machine("server", "rec-1", 1) + machine("spare", "spare-1", 2)
    for number in range(cameras):
        text += camera(f"cam-{number}", "rtsp://127.0.0.1:9/x", f'ring = "{ring}"\npreroll = "10s"\n')
    (folder / "site.toml").write_text(text)
    return load_site(folder / "site.toml")


def test_there_is_room(tmp_path: Path) -> None:
    site = site_of(tmp_path, 3)
    rates = {camera.name: RATE for camera in site.cameras}
    for memory_bytes in (0, 3 * PREROLL_BYTES):
        needs = spare_needs(site, site.spares[0], rates, memory_bytes)
        assert (needs.cameras, needs.preroll_bytes, needs.held) == (3, 3 * PREROLL_BYTES, {})
        assert needs.ring_bytes == (memory_bytes or 3 * 32 * 2**20)
        assert not list(memory_problems(site, rates, {"spare-1": needs}))


def test_the_spare_has_less_memory_than_the_rings_of_its_cameras_want(tmp_path: Path) -> None:
    site = site_of(tmp_path, 4)
    rates = {camera.name: RATE for camera in site.cameras}
    needs = spare_needs(site, site.spares[0], rates, 2 * PREROLL_BYTES)
    assert needs.held == dict.fromkeys(rates, 0.5)
    assert needs.preroll_bytes == needs.ring_bytes == 2 * PREROLL_BYTES
    (problem,) = memory_problems(site, rates, {"spare-1": needs})
    assert problem.where == "spare spare-1"
    assert "too small for the pre-roll of 4 cameras: of cam-0 it holds 5.0 s of 10.0 s" in problem.what
    assert not list(ring_problems(site, rates))


def test_a_ring_that_is_too_small_by_itself_is_no_fault_of_the_spare(tmp_path: Path) -> None:
    site = site_of(tmp_path, 2, ring="1MiB")
    rates = {camera.name: RATE for camera in site.cameras}
    needs = spare_needs(site, site.spares[0], rates)
    assert not list(memory_problems(site, rates, {"spare-1": needs}))
    assert [problem.where for problem in ring_problems(site, rates)] == ["camera cam-0", "camera cam-1"]
