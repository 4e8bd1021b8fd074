"""Stamping, case by case: anchors, steps, jumps, back-dating, order."""

from __future__ import annotations

import numpy as np
import pytest
from camera_sim import AUDIO, MONOTONIC, MS, VIDEO, WALL, Camera, S, start, table, unit

from fovideo.camera.clock import Stamped, Stamper
from fovideo.media.frames import Clock
from fovideo.ring.units import NO_TIME, Kind

B_FRAMES = (0, 3, 1, 2, 6, 4, 5, 9, 7, 8)


def stamp(camera: Camera, **changes: object) -> tuple[Stamped, list[int]]:
    rows, truth = camera.run()
    if camera.audio:
        changes.setdefault("tracks", (VIDEO, AUDIO))
    return Stamper(start(**changes)).stamp(rows, final=True), truth


def effective(stamped: Stamped) -> np.ndarray:
    """Times with the back-datings applied, as a store's readers see them."""
    times = stamped.frames["time_ns"].copy()
    for backdate in stamped.backdates:
        before = np.arange(len(times)) < backdate.before
        times[before & (stamped.epochs == backdate.epoch)] += backdate.shift_ns
    return times


def test_sender_reports_from_the_first_packet_are_the_clock() -> None:
    stamped, truth = stamp(Camera(clock_ahead_ns=3600 * S, pts_base_ns=77 * S))
    assert stamped.frames["time_ns"].tolist() == truth
    assert set(stamped.frames["clock"]) == {Clock.SENDER_REPORT}
    assert set(stamped.frames["error_ns"]) == {MS}
    assert set(stamped.epochs) == {0}
    assert not stamped.backdates


def test_without_reports_the_first_receipt_is_the_clock() -> None:
    stamped, truth = stamp(Camera(first_report=None))
    assert (stamped.frames["time_ns"] - truth).tolist() == [80 * MS] * 50
    assert set(stamped.frames["clock"]) == {Clock.LOCAL}
    assert set(stamped.frames["error_ns"]) == {S}


def test_receipt_is_wall_clock_at_session_start_plus_monotonic_progress() -> None:
    stamped, _ = stamp(Camera())
    assert stamped.frames["receipt_ns"][3] == WALL + 3 * 40 * MS + 80 * MS


def test_frames_before_the_first_report_are_backdated_from_a_keyframe() -> None:
    camera = Camera(first_report=14, clock_ahead_ns=-7 * S)
    stamped, truth = stamp(camera)
    (backdate,) = stamped.backdates
    assert backdate.before == 20  # the next keyframe, so that the GOP around the report has one shift
    assert backdate.shift_ns == -7 * S - 80 * MS
    assert effective(stamped).tolist() == truth
    assert stamped.epochs.tolist() == [0] * 20 + [1] * 30
    assert stamped.frames["clock"].tolist() == [Clock.LOCAL] * 20 + [Clock.SENDER_REPORT] * 30


def test_a_report_too_late_for_a_keyframe_backdates_at_the_end() -> None:
    stamped, truth = stamp(Camera(frames=18, first_report=14))
    (backdate,) = stamped.backdates
    assert backdate.before == 18
    assert effective(stamped).tolist() == truth
    pieces = list(stamped.pieces())
    assert [len(piece.frames) for piece in pieces] == [18, 0]
    assert pieces[1].backdates == (backdate,)


def test_the_first_packet_with_a_report_is_not_believed() -> None:
    stamped, truth = stamp(Camera(gop=(0,), first_report=3, frames=10))
    assert stamped.backdates[0].before == 4
    assert effective(stamped).tolist() == truth


def test_b_frames_decode_in_the_sorted_order_of_their_run() -> None:
    stamped, truth = stamp(Camera(gop=B_FRAMES, frames=20))
    frames = stamped.frames
    assert frames["time_ns"].tolist() == truth
    assert (frames["dts_ns"] - WALL).tolist() == [40 * MS * n for n in range(20)]


def test_an_open_run_is_held_back_until_it_is_closed() -> None:
    rows, _ = Camera(gop=B_FRAMES, frames=8).run()
    stamper = Stamper(start())
    assert stamper.stamp(rows[:4]).consumed == 1  # I P B B: more B could follow
    assert stamper.stamp(rows[1:5]).consumed == 3  # the next P closes P B B
    assert stamper.stamp(rows[4:5]).consumed == 0
    assert stamper.stamp(rows[4:8]).consumed == 3


def test_a_held_run_is_released_by_age() -> None:
    rows, _ = Camera(gop=B_FRAMES, frames=3).run()
    stamper = Stamper(start())
    last = int(rows["receipt_ns"][-1])
    assert stamper.stamp(rows, now_ns=last + S).consumed == 1
    assert stamper.stamp(rows[1:], now_ns=last + 3 * S).consumed == 2


def test_a_held_run_is_released_by_length() -> None:
    falling = [unit(10 * S - n * MS, receipt_ns=MONOTONIC + n * MS, key=n == 0) for n in range(40)]
    stamped = Stamper(start()).stamp(table(falling))
    assert stamped.consumed == 32
    assert (np.diff(stamped.frames["dts_ns"]) > 0).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_small_drift_is_followed_at_keyframes_by_half_an_interval(sign: int) -> None:
    camera = Camera(steps=[(13, sign * 30 * MS)])
    stamped, truth = stamp(camera)
    off = (np.array(truth) - stamped.frames["time_ns"]) * sign
    assert off[:13].tolist() == [0] * 13
    assert off[13:20].tolist() == [30 * MS] * 7
    assert off[20:30].tolist() == [10 * MS] * 10
    assert off[30:].tolist() == [0] * 20
    assert set(stamped.epochs) == {0}
    assert (stamped.frames["error_ns"] == off + MS).all()
    assert (np.diff(stamped.frames["dts_ns"]) >= 20 * MS).all()


def test_drift_below_the_jitter_of_reports_is_left_alone() -> None:
    stamped, truth = stamp(Camera(steps=[(13, MS)]))
    assert (np.array(truth) - stamped.frames["time_ns"]).tolist() == [0] * 13 + [MS] * 37


@pytest.mark.parametrize("step_ns", [700 * MS, 3600 * S, -700 * MS, -3600 * S])
def test_a_clock_step_begins_an_epoch_at_once(step_ns: int) -> None:
    stamped, truth = stamp(Camera(steps=[(13, step_ns)]))
    assert stamped.frames["time_ns"].tolist() == truth
    assert stamped.epochs.tolist() == [0] * 13 + [1] * 37
    assert not stamped.backdates


def test_inexact_reports_make_no_gaps() -> None:
    """Cameras that read the two clocks of a report at different times."""
    jitter = [(number, (-1) ** (number // 7) * 45 * MS) for number in range(7, 300, 7)]
    stamped, truth = stamp(Camera(frames=300, steps=jitter))
    assert set(stamped.epochs) == {0}
    steps = np.diff(stamped.frames["dts_ns"])
    assert steps.min() >= 20 * MS
    assert steps.max() <= 60 * MS
    assert (np.abs(stamped.frames["time_ns"] - np.array(truth)) <= stamped.frames["error_ns"]).all()


@pytest.mark.parametrize("jump_ns", [3600 * S, -3600 * S, -3 * S])
def test_a_jump_of_pts_begins_an_epoch_and_waits_for_new_reports(jump_ns: int) -> None:
    stamped, truth = stamp(Camera(pts_jumps=[(13, jump_ns)], report_delay=5, jitter_ns=20 * MS, seed=4))
    assert effective(stamped).tolist() == truth
    assert stamped.epochs.tolist() == [0] * 13 + [1] * 7 + [2] * 30
    assert [b.epoch for b in stamped.backdates] == [1]


def test_reports_that_stay_the_same_after_a_jump_are_believed_in_the_end() -> None:
    """With several tracks libavformat's pts follow the reports: a step of the clock is a jump of pts."""
    camera = Camera(frames=450, steps=[(100, 60 * S)], pts_jumps=[(100, 60 * S)], report_delay=0)
    rows, truth = camera.run()
    stamped = Stamper(start()).stamp(rows, final=True)
    assert effective(stamped)[:100].tolist() == truth[:100]
    assert effective(stamped)[-1] == truth[-1]
    assert effective(stamped)[150] == truth[150]


def test_a_pause_is_no_jump() -> None:
    rows = [unit(n * 40 * MS, receipt_ns=MONOTONIC + n * 40 * MS, key=n % 10 == 0) for n in range(20)]
    late = [
        unit(60 * S + n * 40 * MS, receipt_ns=MONOTONIC + 60 * S + n * 40 * MS, key=n % 10 == 0)
        for n in range(20)
    ]
    stamped = Stamper(start()).stamp(table(rows + late), final=True)
    assert set(stamped.epochs) == {0}


def test_the_first_packet_of_an_rtsp_session_has_no_pts() -> None:
    stamped, truth = stamp(Camera(missing=frozenset({0})))
    assert stamped.frames["time_ns"].tolist() == truth
    assert stamped.frames["error_ns"][0] > stamped.frames["error_ns"][1]


def test_the_first_packet_without_pts_before_b_frames() -> None:
    stamped, truth = stamp(Camera(gop=B_FRAMES, missing=frozenset({0})))
    assert stamped.frames["time_ns"].tolist() == truth


@pytest.mark.parametrize("joined", range(10))
def test_the_first_pts_of_an_rtsp_session_is_known(joined: int) -> None:
    """Wherever among the B-frames the session begins."""
    rows, truth = Camera(gop=B_FRAMES, missing=frozenset({0}), joined=joined).run()
    base = WALL + int(truth[0] - WALL)
    rows["pts_ns"][1:] = np.array(truth[1:]) - base
    stamped = Stamper(start(first_pts_ns=0)).stamp(rows, final=True)
    assert stamped.frames["time_ns"].tolist() == truth
    assert set(stamped.frames["error_ns"]) == {MS}


@pytest.mark.parametrize("late_us", [-13_333, 5_333])
@pytest.mark.parametrize("joined", range(10))
def test_a_session_that_begins_among_b_frames_at_another_tracks_start(joined: int, late_us: int) -> None:
    rows, truth = Camera(gop=B_FRAMES, missing=frozenset({0}), joined=joined).run()
    rows["pts_ns"][1:] = np.array(truth[1:]) - truth[0] + late_us * 1000
    stamped = Stamper(start(first_pts_ns=0)).stamp(rows, final=True)
    assert stamped.frames["time_ns"].tolist() == truth
    assert stamped.frames["error_ns"][0] >= MS + abs(late_us) * 1000


def test_a_first_pts_that_cannot_be_is_not_believed() -> None:
    rows, truth = Camera(gop=(0,), missing=frozenset({0}), pts_base_ns=5 * S).run()
    stamped = Stamper(start(first_pts_ns=0)).stamp(rows, final=True)
    assert stamped.frames["time_ns"].tolist() == truth


def test_a_first_packet_that_stays_alone_has_the_report_of_the_next() -> None:
    """libavformat hands out a frame with what came with the one behind it."""
    alone = unit(wall_ns=WALL + 40 * MS, receipt_ns=MONOTONIC + 42 * MS)
    stamped = Stamper(start(first_pts_ns=0)).stamp(table([alone]), final=True)
    assert stamped.frames["clock"].tolist() == [Clock.LOCAL]
    assert abs(int(stamped.frames["time_ns"][0]) - WALL) < int(stamped.frames["error_ns"][0])


@pytest.mark.parametrize("late_us", [-16_000, 5_333, 21_333])
def test_a_session_whose_start_is_another_tracks(late_us: int) -> None:
    """Its audio began at another instant: the first picture's pts is not 0, but the others keep the beat."""
    rows, truth = Camera(gop=(0,), missing=frozenset({0})).run()
    rows["pts_ns"][1:] = np.array(truth[1:]) - truth[0] + late_us * 1000
    stamped = Stamper(start(first_pts_ns=0)).stamp(rows, final=True)
    assert stamped.frames["time_ns"].tolist() == truth
    assert stamped.frames["error_ns"][0] >= MS + abs(late_us) * 1000


def test_missing_pts_are_interpolated() -> None:
    stamped, truth = stamp(Camera(missing=frozenset({7, 8})))
    assert stamped.frames["time_ns"].tolist() == truth
    errors = stamped.frames["error_ns"]
    assert errors[7] == errors[8] == 41 * MS
    assert errors[9] == MS


def test_no_pts_at_all() -> None:
    rows = [unit(receipt_ns=MONOTONIC + n * 40 * MS, key=n == 0) for n in range(10)]
    stamped = Stamper(start(interval_ns=40 * MS)).stamp(table(rows), final=True)
    assert np.diff(stamped.frames["time_ns"]).tolist() == [40 * MS] * 9


def test_a_burst_at_the_start_is_backdated_when_the_delay_is_known() -> None:
    """Some servers send the GOP so far at once: the first frames are older than their receipt."""
    burst = 30
    rows = [
        unit(n * 40 * MS, receipt_ns=MONOTONIC + max(n - burst, 0) * 40 * MS + n, key=n % 10 == 0)
        for n in range(120)
    ]
    stamped = Stamper(start()).stamp(table(rows), final=True)
    ideal = WALL + (np.arange(120) - burst) * 40 * MS
    assert np.abs(effective(stamped) - ideal).max() <= 120
    assert len(stamped.backdates) == 1


def test_a_drifting_camera_without_reports_is_kept_near_receipt() -> None:
    """500 ppm: after an hour it would be 1.8 s off."""
    rows = [unit(n * S + n * 500_000, receipt_ns=MONOTONIC + n * S, key=True) for n in range(3600)]
    stamped = Stamper(start()).stamp(table(rows), final=True)
    assert np.abs(stamped.frames["time_ns"] - (WALL + np.arange(3600) * S)).max() < 300 * MS
    assert not stamped.backdates


def test_clocks_that_were_never_set_are_ignored() -> None:
    rows, _ = Camera(clock_ahead_ns=-WALL + 5 * S).run()  # 1970
    stamped = Stamper(start()).stamp(rows, final=True)
    assert set(stamped.frames["clock"]) == {Clock.LOCAL}
    assert stamped.frames["time_ns"].min() >= WALL


def test_a_file_keeps_its_own_time() -> None:
    rows = [unit(n * 40 * MS, receipt_ns=MONOTONIC + n, key=n == 0) for n in range(10)]
    rows += [unit(60 * S + n * 40 * MS, receipt_ns=MONOTONIC + 10 + n, key=n == 0) for n in range(10)]
    begun = start(live=False, is_file=True, container_start_ns=WALL - 1000 * S)
    stamped = Stamper(begun).stamp(table(rows), final=True)
    assert stamped.frames["time_ns"][0] == WALL - 1000 * S
    assert stamped.frames["time_ns"][10] == WALL - 940 * S  # a hole in a file is a hole, not a jump
    assert set(stamped.frames["clock"]) == {Clock.CONTAINER}
    assert set(stamped.epochs) == {0}


def test_tracks_of_a_file_share_one_clock() -> None:
    rows = [
        unit(0, receipt_ns=MONOTONIC + 5, track=2),
        unit(0, receipt_ns=MONOTONIC + 6 * MS, key=True),
        unit(20 * MS, receipt_ns=MONOTONIC + 7 * MS, track=2),
        unit(40 * MS, receipt_ns=MONOTONIC + 8 * MS),
    ]
    stamped = Stamper(start(tracks=(VIDEO, AUDIO), live=False, is_file=True)).stamp(table(rows), final=True)
    assert (stamped.frames["time_ns"] - WALL).tolist() == [5, 5, 5 + 20 * MS, 5 + 40 * MS]


def test_audio_has_its_own_reports() -> None:
    stamped, truth = stamp(Camera(audio=True, clock_ahead_ns=100 * S))
    assert stamped.frames["time_ns"].tolist() == truth
    assert set(stamped.frames["clock"]) == {Clock.SENDER_REPORT}


def test_audio_follows_the_steps_of_video() -> None:
    stamped, truth = stamp(Camera(audio=True, steps=[(13, 3600 * S)]))
    assert stamped.frames["time_ns"].tolist() == truth
    assert stamped.epochs.tolist() == [0] * 26 + [1] * 74


def test_audio_is_backdated_with_video() -> None:
    stamped, truth = stamp(Camera(audio=True, first_report=14, clock_ahead_ns=500 * S))
    off = np.abs(effective(stamped) - np.array(truth))
    assert off.max() <= stamped.frames["error_ns"].max()
    assert off[60:].max() <= 2 * MS


def test_a_camera_with_audio_only() -> None:
    rows = [unit(n * 20 * MS, receipt_ns=MONOTONIC + n * 20 * MS, track=2) for n in range(50)]
    stamped = Stamper(start(tracks=(AUDIO,))).stamp(table(rows), final=True)
    assert np.diff(stamped.frames["dts_ns"]).tolist() == [20 * MS] * 49


def test_rows_that_are_no_frames_are_passed_over() -> None:
    rows = [
        unit(0, receipt_ns=MONOTONIC, key=True),
        unit(NO_TIME, receipt_ns=MONOTONIC, kind=Kind.FORMAT, track=0),
        unit(40 * MS, receipt_ns=MONOTONIC + 40 * MS),
    ]
    stamped = Stamper(start()).stamp(table(rows), final=True)
    assert stamped.consumed == 3
    assert len(stamped.frames) == 2


def test_nothing_gives_nothing() -> None:
    stamped = Stamper(start()).stamp(table([]), final=True)
    assert stamped.consumed == len(stamped.frames) == 0
    assert list(stamped.pieces()) == []


def test_a_backdating_said_at_a_pause_is_not_said_again() -> None:
    """Handed back between the first report and the next keyframe, then taken over again in one session."""
    rows, truth = Camera(frames=60, first_report=14, clock_ahead_ns=-7 * S).run()
    stamper = Stamper(start())
    before = stamper.stamp(rows[:18], final=True)
    stamper.resume()
    after = stamper.stamp(rows[30:], final=True)
    shifts: dict[int, int] = {}
    for backdate in (*before.backdates, *after.backdates):
        shifts[backdate.epoch] = shifts.get(backdate.epoch, 0) + backdate.shift_ns
    frames = np.concatenate([before.frames, after.frames])
    epochs = np.concatenate([before.epochs, after.epochs])
    effective_ns = frames["time_ns"] + np.array([shifts.get(int(epoch), 0) for epoch in epochs])
    assert effective_ns.tolist() == truth[:18] + truth[30:]
    assert not set(before.epochs) & set(after.epochs)
