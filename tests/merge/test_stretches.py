"""How what is inserted is cut into stretches, each a segment file of the target."""

from __future__ import annotations

from itertools import pairwise

from merge_world import World, camera

from fovideo.merge import load_manifest, plan


def test_footage_without_a_counterpart_is_one_stretch() -> None:
    """Another encoder: nothing matches, so nothing tells a clock, and nothing changes from row to row."""
    world = World()
    world.record("server", camera(200))
    world.record("spare", camera(600, seed=2), gops_per_segment=1000)
    source, target = (load_manifest(world.timeline(name), "gate") for name in ("spare", "server"))
    made = plan(source, target)
    assert sorted(stretch.kind for stretch in made.stretches) == ["conflict", "fill"]
    assert [stretch.provenance.correction.reference_ns for stretch in made.stretches] == [0, 0]


def test_a_hole_begins_another_stretch() -> None:
    """Also between conflicts: what lies between them is none."""
    world = World()
    world.record("server", camera(200))
    world.record("server", [shot for shot in camera(600) if shot.id >= 400])
    shots = camera(600, seed=2)
    world.record("spare", shots[:300], gops_per_segment=1000, session="aa")
    world.record("spare", shots[350:], gops_per_segment=1000, session="aa")
    source, target = (load_manifest(world.timeline(name), "gate") for name in ("spare", "server"))
    made = plan(source, target)
    assert [stretch.kind for stretch in made.stretches] == ["conflict", "fill", "fill", "conflict"]
    for before, after in pairwise(made.stretches):
        assert before.span.to_ns <= after.span.from_ns
