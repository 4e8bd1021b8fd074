"""Why frames are still missing after a merge."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from custody_world import S, camera, outage, record
from hypothesis import given
from hypothesis import strategies as st
from merge_world import STEP_NS, T0_NS, World, Wrong
from merge_world import camera as shots
from streams import FRAME_NS
from streams import T0_NS as REAL_T0_NS

from fovideo.custody import Missing, Reason, still_missing
from fovideo.custody.missing import SLIVER_NS
from fovideo.merge import merge
from fovideo.store import Store
from fovideo.timeline.values import Loss


def loss(start_s: float, end_s: float, reason: str) -> Loss:
    return Loss(round(start_s * S), round(end_s * S), 1, reason)


def told(found: tuple[Missing, ...]) -> list[tuple[float, float, str]]:
    return [(each.from_ns / S, each.to_ns / S, each.reason) for each in found]


GAP = [(10 * S, 20 * S)]


def test_nothing_known() -> None:
    assert still_missing(GAP) == (Missing(10 * S, 20 * S, "never recorded"),)
    assert still_missing([]) == ()


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("disk-slow", "dropped"),
        ("transport", "dropped"),
        ("expired", "expired"),
        ("cut", "cut"),
        ("damaged", "damaged"),
        ("stolen", "stolen"),
    ],
)
def test_words_of_losses(word: str, reason: str) -> None:
    assert told(still_missing(GAP, [loss(0, 30, word)])) == [(10, 20, reason)]
    assert told(still_missing(GAP, [], [loss(0, 30, word)])) == [(10, 20, reason)]


def test_a_gap_is_cut_where_the_reason_changes() -> None:
    found = still_missing(GAP, [loss(8, 11, "cut")], [loss(15, 17, "disk-slow")])
    assert told(found) == [
        (10, 11, "cut"),
        (11, 15, "never recorded"),
        (15, 17, "dropped"),
        (17, 20, "never recorded"),
    ]
    assert (found[0].target, found[0].source) == ("cut", "")
    assert (found[2].target, found[2].source) == ("", "disk-slow")


def test_the_source_is_believed_before_the_target() -> None:
    (found,) = still_missing(GAP, [loss(0, 30, "cut")], [loss(0, 30, "expired")])
    assert found == Missing(10 * S, 20 * S, "expired", "cut", "expired")
    assert str(found) == "expired (cut at the target)"


def test_what_the_source_still_has_comes_first() -> None:
    span = (12 * S, 14 * S)
    lost = [loss(0, 30, "disk-slow")]
    assert told(still_missing(GAP, lost, lost, refused=[span]))[1] == (12, 14, "refused")
    assert told(still_missing(GAP, lost, lost, refused=[span], deferred=[span]))[1] == (12, 14, "deferred")


def test_slivers_take_the_reason_beside_them() -> None:
    found = still_missing(GAP, [loss(10.05, 19.98, "disk-slow")])
    assert told(found) == [(10, 20, "dropped")]
    single = [(10 * S, 10 * S + FRAME_NS)]
    assert told(still_missing(single, [loss(10.01, 10.04, "cut")])) == [(10, 10.04, "cut")]


def test_for_people_and_programs() -> None:
    (found,) = still_missing(GAP, [], [loss(0, 30, "disk-slow")])
    assert str(found) == "dropped (disk-slow at the source)"
    assert found.as_json() == {
        "from": "1970-01-01T00:00:10Z",
        "to": "1970-01-01T00:00:20Z",
        "reason": "dropped",
        "source": "disk-slow",
    }
    assert str(Missing(0, 1)) == "never recorded"


spans = st.tuples(st.integers(0, 400), st.integers(1, 60)).map(lambda s: (s[0] * S, (s[0] + s[1]) * S))
losses = st.lists(
    st.builds(
        lambda span, word: Loss(*span, 1, word), spans, st.sampled_from(["disk-slow", "expired", "cut"])
    ),
    max_size=8,
)


@st.composite
def gap_lists(draw: st.DrawFn) -> list[tuple[int, int]]:
    edges = sorted(draw(st.sets(st.integers(0, 460), max_size=10)))
    return [(edges[at] * S, edges[at + 1] * S) for at in range(0, len(edges) - 1, 2)]


@given(gap_lists(), losses, losses, st.lists(spans, max_size=3))
def test_every_second_has_its_reason(gaps, target, source, refused) -> None:
    """Edges lie on whole seconds here, so nothing is a sliver: a slow look at each second must agree."""
    found = still_missing(gaps, target, source, refused=refused)
    assert [each for each in found if each.to_ns - each.from_ns < SLIVER_NS] == []
    seconds = {at: each for each in found for at in range(each.from_ns // S, each.to_ns // S)}
    assert sorted(seconds) == [at for start, end in gaps for at in range(start // S, end // S)]

    def holds(at: int, known: list[Loss]) -> set[str]:
        return {each.reason for each in known if each.start_ns <= at * S < each.end_ns}

    for at, each in seconds.items():
        assert each.target in (holds(at, target) or {""})
        assert each.source in (holds(at, source) or {""})
        if any(start <= at * S < end for start, end in refused):
            assert each.reason == Reason.REFUSED
        elif not each.target and not each.source:
            assert each.reason == Reason.NEVER_RECORDED
        else:
            kept = each.source or each.target
            assert each.reason == ("dropped" if kept == "disk-slow" else kept)


@given(gap_lists(), losses, st.integers(-(10**9), 10**9))
def test_together_they_are_what_is_missing(gaps, source, late_ns: int) -> None:
    moved = [
        msgspec.structs.replace(each, start_ns=each.start_ns + late_ns, end_ns=each.end_ns + late_ns)
        for each in source
    ]
    found = iter(still_missing(gaps, [], moved))
    for start_ns, end_ns in gaps:
        at_ns = start_ns
        while at_ns < end_ns:
            piece = next(found)
            assert piece.from_ns == at_ns < piece.to_ns
            at_ns = piece.to_ns
        assert at_ns == end_ns
    assert list(found) == []


# After real merges


def real(number: float) -> int:
    return REAL_T0_NS + round(number * FRAME_NS)


def test_what_the_spare_dropped_is_the_reason_at_the_server(tmp_path: Path) -> None:
    """Its clock is 2 s ahead, and so are the times of its losses."""
    late_ns = 2 * S
    made = camera(sound=False)
    lost = Loss(real(43) + late_ns, real(52) + late_ns, 9, "disk-slow")
    with (
        Store.open(tmp_path / "server", write=True, create=True) as server,
        Store.open(tmp_path / "spare", write=True, create=True) as spare,
    ):
        record(server, made, 0, 30, session=1, recorder="rec-1")
        record(server, made, 70, 100, session=2, recorder="rec-1")
        record(
            spare,
            made,
            25,
            80,
            session=3,
            recorder="spare-1",
            late_ns=late_ns,
            lost=range(43, 52),
            losses=[lost],
        )
        report = merge(spare, server)
        (stream,) = report.streams
        assert stream.clock_offset_ns == -late_ns
        assert stream.still_missing == (Missing(real(43), real(52), "dropped", "", "disk-slow"),)
        assert [(gap.from_ns, gap.to_ns) for gap in stream.missing] == [(real(43), real(52))]
        (plain,) = report.as_json()["streams"][0]["still_missing"]
        assert (plain["reason"], plain["source"]) == ("dropped", "disk-slow")
        # A third source fills it.
        with Store.open(tmp_path / "third", write=True, create=True) as third:
            record(third, made, 40, 60, session=4, recorder="camera")
            (healed,) = merge(third, server).streams
        assert healed.inserted_frames == 9
        assert healed.still_missing == healed.missing == ()


def test_what_nobody_recorded_and_what_the_crash_cut(tmp_path: Path) -> None:
    spare, server = outage(tmp_path, sound=False)
    made = camera(140, sound=False)
    torn = Loss(real(100), real(110), 10, "cut")
    with spare, server:
        record(server, made, 130, 140, session=4, recorder="rec-1", losses=[torn])
        (stream,) = merge(spare, server).streams
    assert stream.still_missing == (
        Missing(real(100), real(110), "cut", "cut", ""),
        Missing(real(110), real(130), "never recorded", "", ""),
    )


def test_a_dry_run_tells_the_same() -> None:
    world = World()
    frames = shots(600)
    world.record("server", frames[:200])
    world.record("server", frames[400:])
    world.record("spare", frames[250:450], wrong=Wrong(3 * S))
    dry = merge(world.timeline("spare"), world.timeline("server"), dry_run=True).streams[0]
    real_run = merge(world.timeline("spare"), world.timeline("server")).streams[0]
    assert dry.still_missing == real_run.still_missing
    assert [(gap.from_ns - T0_NS) // STEP_NS for gap in dry.still_missing] == [200]


def test_what_waits_for_a_live_target_is_deferred() -> None:
    world = World()
    frames = shots(600)
    world.record("server", frames[:200])
    world.record("server", frames[405:410])
    world.record("spare", frames[150:450])
    server = world.timeline("server")
    server.live_edge_ns = T0_NS + 410 * STEP_NS
    (stream,) = merge(world.timeline("spare"), server).streams
    assert stream.deferred_frames
    assert {gap.reason for gap in stream.still_missing} == {"deferred"}


def test_what_does_not_decode_is_refused() -> None:
    world = World()
    frames = shots(600)
    world.record("server", frames[:200])
    world.record("server", frames[400:])
    world.record("spare", frames[255:450])  # begins inside a GOP that nobody has whole
    (stream,) = merge(world.timeline("spare"), world.timeline("server")).streams
    assert stream.held_frames == 5
    spans = [
        ((gap.from_ns - T0_NS) // STEP_NS, (gap.to_ns - T0_NS) // STEP_NS) for gap in stream.still_missing
    ]
    assert spans == [(200, 255), (255, 260)]
    assert [gap.reason for gap in stream.still_missing] == ["never recorded", "refused"]
