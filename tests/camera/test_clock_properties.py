"""Stamping, for all streams: what must hold however a camera behaves and however units arrive."""

from __future__ import annotations

import msgspec
import numpy as np
from camera_sim import AUDIO, MONOTONIC, MS, VIDEO, WALL, Camera, S, start, table, unit
from hypothesis import given
from hypothesis import strategies as st

from fovideo.camera.clock import Stamper
from fovideo.camera.session_start import SessionStart
from fovideo.media.frames import Clock
from fovideo.ring.units import NO_TIME, Units

GOPS = st.sampled_from(
    [
        (0,),
        (0, 1, 2, 3, 4),
        (0, 3, 1, 2, 6, 4, 5),
        (0, 8, 4, 2, 1, 3, 6, 5, 7),
        (0, 2, 1, 4, 3),
        tuple(range(12)),
    ]
)

# Cameras that behave: their times can be checked against the truth.
cameras = st.builds(
    Camera,
    gop=GOPS,
    interval_ns=st.sampled_from([20 * MS, 33_333_333, 40 * MS, 100 * MS]),
    frames=st.integers(1, 80),
    first_report=st.none() | st.integers(0, 40),
    clock_ahead_ns=st.integers(-10_000 * S, 10_000 * S),
    missing=st.sampled_from([frozenset(), frozenset({0})]),
    audio=st.booleans(),
    jitter_ns=st.sampled_from([0, 15 * MS]),
    pts_base_ns=st.integers(-(2**40), 2**40),
    joined=st.integers(0, 20),
    seed=st.integers(0, 100),
)

ANY_TIME = st.one_of(
    st.just(NO_TIME),
    st.integers(-5 * S, 5 * S),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(WALL - S, WALL + S),
    st.integers(-100, 100).map(lambda n: n * 40 * MS),
)


@st.composite
def garbage(draw: st.DrawFn) -> Units:
    """Units of a camera from which nothing can be expected, but that receipt goes forward."""
    count = draw(st.integers(0, 40))
    receipt = MONOTONIC
    rows = []
    for _ in range(count):
        receipt += draw(st.integers(0, 2 * S))
        rows.append(
            unit(
                draw(ANY_TIME),
                receipt_ns=receipt,
                wall_ns=draw(ANY_TIME),
                track=draw(st.sampled_from([1, 1, 1, 2])),
                key=draw(st.booleans()),
            )
        )
    return table(rows)


def session(**changes: object) -> SessionStart:
    return start(tracks=(VIDEO, AUDIO), **changes)


sessions = st.sampled_from(
    [
        session(),
        session(interval_ns=40 * MS),
        session(live=False, is_file=True),
        session(live=False, is_file=True, container_start_ns=WALL),
    ]
)


def in_batches(begun: SessionStart, rows: Units, sizes: list[int]) -> tuple[list[object], list[object]]:
    """Frames with epochs, and back-datings, of rows that arrive in batches of these sizes."""
    stamper = Stamper(begun)
    frames: list[object] = []
    backdates: list[object] = []
    begin = end = 0
    for size in [*sizes, len(rows)]:
        end = min(end + size, len(rows))
        last = end == len(rows)
        stamped = stamper.stamp(rows[begin:end], final=last)
        backdates += [(len(frames) + b.before, b.epoch, b.shift_ns) for b in stamped.backdates]
        frames += zip(
            stamped.frames.tolist(), stamped.positions.tolist(), stamped.epochs.tolist(), strict=True
        )
        begin += stamped.consumed
        if last:
            break
    return frames, backdates


@given(sessions, garbage(), st.lists(st.integers(0, 12), max_size=30))
def test_any_split_into_batches_gives_the_same(begun: SessionStart, rows: Units, sizes: list[int]) -> None:
    assert in_batches(begun, rows, sizes) == in_batches(begun, rows, [])


@given(cameras, st.lists(st.integers(0, 12), max_size=30))
def test_any_split_of_a_real_stream_gives_the_same(camera: Camera, sizes: list[int]) -> None:
    rows, _ = camera.run()
    assert in_batches(session(), rows, sizes) == in_batches(session(), rows, [])


@given(sessions, garbage())
def test_every_frame_comes_out_once_and_in_order(begun: SessionStart, rows: Units) -> None:
    stamped = Stamper(begun).stamp(rows, final=True)
    assert stamped.consumed == len(rows)
    assert stamped.positions.tolist() == rows["position"].tolist()
    for field in ("digest", "size", "track", "flags"):
        assert stamped.frames[field].tolist() == rows[field].tolist()
    assert sum(len(piece.frames) for piece in stamped.pieces()) == len(rows)
    assert [b for piece in stamped.pieces() for b in piece.backdates] == list(stamped.backdates)


@given(sessions, garbage())
def test_decode_times_rise_within_an_epoch_and_nothing_is_negative(begun: SessionStart, rows: Units) -> None:
    stamped = Stamper(begun).stamp(rows, final=True)
    frames = stamped.frames
    for field in ("time_ns", "dts_ns", "error_ns"):
        assert (frames[field] >= 0).all()
    assert (np.diff(stamped.epochs) >= 0).all()
    for epoch in np.unique(stamped.epochs):
        for track in (1, 2):
            chosen = frames[(stamped.epochs == epoch) & (frames["track"] == track)]
            assert (np.diff(chosen["dts_ns"]) > 0).all()


@given(cameras)
def test_decode_times_are_the_sorted_presentation_times(camera: Camera) -> None:
    rows, _ = camera.run()
    stamped = Stamper(session()).stamp(rows, final=True)
    video = stamped.frames[stamped.frames["track"] == 1]
    epochs = stamped.epochs[stamped.frames["track"] == 1]
    for epoch in np.unique(epochs):
        chosen = video[epochs == epoch]
        assert sorted(chosen["time_ns"].tolist()) == chosen["dts_ns"].tolist()


@given(cameras)
def test_effective_times_are_true_within_the_error_bound(camera: Camera) -> None:
    rows, truth = camera.run()
    stamped = Stamper(session()).stamp(rows, final=True)
    times = stamped.frames["time_ns"].copy()
    reported = stamped.frames["clock"] == 1
    for backdate in stamped.backdates:
        chosen = (np.arange(len(times)) < backdate.before) & (stamped.epochs == backdate.epoch)
        times[chosen] += backdate.shift_ns
        after = stamped.frames["clock"][backdate.before :]
        reported[chosen] |= not len(after) or after[0] == Clock.SENDER_REPORT
    off = np.abs(times - np.array(truth, dtype=np.int64))
    video = stamped.frames["track"] == 1
    assert (off[reported & video] <= stamped.frames["error_ns"][reported & video]).all()


@given(cameras, st.integers(0, 30), st.integers(-(2**40), 2**40))
def test_two_sessions_over_the_same_media_differ_by_a_constant(
    camera: Camera, later: int, pts_base_ns: int
) -> None:
    """One joined later, with another time base, other jitter and a sender report at another time."""
    first, _ = camera.run()
    other = Camera(
        **(vars(camera) | {"joined": later, "pts_base_ns": pts_base_ns, "seed": 7, "first_report": 2})
    )
    second, _ = other.run()
    a = _times(first, camera.joined)
    b = _times(second, later)
    common = sorted(a.keys() & b.keys())
    differences = {a[number] - b[number] for number in common}
    assert max(differences, default=0) - min(differences, default=0) <= 4 * MS


def _times(rows: Units, joined: int) -> dict[int, int]:
    """Effective time of each video frame with a known pts, by number."""
    stamped = Stamper(session()).stamp(rows, final=True)
    times = stamped.frames["time_ns"].copy()
    for backdate in stamped.backdates:
        chosen = (np.arange(len(times)) < backdate.before) & (stamped.epochs == backdate.epoch)
        times[chosen] += backdate.shift_ns
    video = stamped.frames["track"] == 1
    known = rows["pts_ns"][video] != NO_TIME
    return {joined + n: int(t) for n, (t, k) in enumerate(zip(times[video], known, strict=True)) if k}


disturbances = st.lists(
    st.tuples(
        st.integers(0, 80),
        st.sampled_from(["pts_ns", "wall_ns", "receipt_ns"]),
        st.sampled_from([MS, -MS, 3 * MS, 30 * MS, -30 * MS, 400 * MS, 600 * MS, 3 * S, -3 * S, 11 * S]),
    ),
    max_size=4,
)


def without_reordering(begun: SessionStart) -> SessionStart:
    """The same session of a camera whose parameter sets deny B-frames."""
    video = msgspec.structs.replace(
        VIDEO, parameter_sets=(bytes.fromhex("6742c01e8c8d40501ed00f08846a"), bytes.fromhex("68ce3c80"))
    )
    return msgspec.structs.replace(begun, tracks=(video, *begun.tracks[1:]))


def compared(begun: SessionStart, rows: Units, sizes: list[int]) -> int:
    """Feed batches to the compiled and to the plain stamper; frames that they gave alike."""
    compiled, plain = Stamper(begun), Stamper(begun, compiled=False)
    begin = end = count = 0
    for size in [*sizes, len(rows)]:
        end = min(end + size, len(rows))
        last = end == len(rows)
        one, two = (stamper.stamp(rows[begin:end], final=last) for stamper in (compiled, plain))
        assert one.frames.tolist() == two.frames.tolist()
        assert one.positions.tolist() == two.positions.tolist()
        assert one.epochs.tolist() == two.epochs.tolist()
        assert (one.backdates, one.consumed) == (two.backdates, two.consumed)
        assert (compiled.clock, compiled.ahead_ns, compiled.interval_ns, compiled.epoch) == (
            plain.clock,
            plain.ahead_ns,
            plain.interval_ns,
            plain.epoch,
        )
        begin += one.consumed
        count += len(one.frames)
        if last:
            break
    return count


@given(sessions, garbage(), st.lists(st.integers(0, 12), max_size=30), st.booleans())
def test_compiled_stamping_of_anything_is_the_same(
    begun: SessionStart, rows: Units, sizes: list[int], reorders: bool
) -> None:
    compared(begun if reorders else without_reordering(begun), rows, sizes)


@given(cameras, st.lists(st.integers(0, 12), max_size=30), st.booleans(), disturbances)
def test_compiled_stamping_of_cameras_is_the_same(
    camera: Camera, sizes: list[int], reorders: bool, changes: list[tuple[int, str, int]]
) -> None:
    rows, _ = camera.run()
    for place, field, by in changes:
        rows[field][place:] += by
    begun = session(interval_ns=camera.interval_ns if len(sizes) % 2 else 0)
    compared(begun if reorders else without_reordering(begun), rows, sizes)


@given(
    st.sampled_from([3 * MS, -3 * MS, 30 * MS, -30 * MS, 400 * MS, 600 * MS, -600 * MS]),
    st.integers(5, 75),
    st.booleans(),
    st.booleans(),
)
def test_compiled_stamping_follows_reports_that_deviate(
    by: int, place: int, reorders: bool, audio: bool
) -> None:
    rows, _ = Camera(gop=(0, 1, 2, 3, 4), frames=80, interval_ns=40 * MS, first_report=0, audio=audio).run()
    rows["wall_ns"][place:] += by * (rows["wall_ns"][place:] != NO_TIME)
    assert compared(session() if reorders else without_reordering(session()), rows, [7] * 30) == len(rows)


@given(st.integers(0, 40), st.sampled_from([60 * MS, 300 * MS, 900 * MS]), st.booleans())
def test_compiled_stamping_improves_a_local_clock(late: int, by: int, reorders: bool) -> None:
    rows, _ = Camera(gop=(0, 1, 2, 3, 4), frames=400, interval_ns=40 * MS, first_report=None).run()
    rows["receipt_ns"][late:] -= by
    begun = session() if reorders else without_reordering(session())
    assert compared(begun, rows, [7] * 80) == len(rows)
