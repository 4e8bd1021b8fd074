"""The decision whether a spare stands in for a server: pure functions of events and their times.

`begin` makes the memory of one server, `step` takes in an event and says what to do. The judgement is by
camera: a silent server concerns all of them, a camera that no longer reaches the server's disk only itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from fovideo.failover.evidence import is_answering, is_down, is_live, is_lost, is_quiet, take_in
from fovideo.failover.values import (
    Action,
    Duty,
    Event,
    HandBack,
    Memory,
    Pass,
    Portion,
    Settings,
    StandDown,
    Standing,
    StartMerge,
    State,
    TakeOver,
    Word,
)

STUCK_PASSES = 5
"""Passes in a row that change nothing, after which what is left is kept and reported, and the camera back."""


class Step(NamedTuple):
    """What the machine knows after an event, and what is to be done, in this order."""

    memory: Memory
    actions: tuple[Action, ...]


def begin(
    server: str,
    cameras: Iterable[str],
    now_ns: int,
    *,
    standing: Standing | None = None,
    unmerged: Iterable[str] = (),
    lease: int = 0,
) -> Step:
    """The memory of a spare that starts to watch a server.

    standing: what was persisted before a restart; its cameras are stood in for again, under the same lease.
    unmerged: cameras of which the spare's store holds footage that was never merged; stood in for as well.
    lease: the highest number known from anywhere else.
    """
    again = tuple(dict.fromkeys((*(standing.cameras if standing else ()), *unmerged)))
    names = dict.fromkeys((*cameras, *again))
    memory = Memory(
        server=server,
        duties={name: Duty(since_ns=now_ns, unheard_ns=now_ns) for name in names},
        told_ns=now_ns,
        lease=max(lease, standing.lease if standing else 0),
        word=Word.DRAINED if standing and standing.drained else Word.RECORDING,
        ordered=standing is not None and standing.ordered,
        next_pass_ns=now_ns,
    )
    if not again:
        return Step(memory, ())
    if standing is None or not standing.cameras:
        memory = replace(memory, lease=memory.lease + 1)
    duties = {n: replace(d, state=State.STANDING_IN) if n in again else d for n, d in memory.duties.items()}
    return Step(replace(memory, duties=duties), (TakeOver(again, memory.lease),))


def standing(memory: Memory) -> Standing:
    """What must survive a restart."""
    return Standing(memory.server, memory.lease, memory.standing, memory.ordered, memory.word == Word.DRAINED)


def step(memory: Memory, event: Event, settings: Settings) -> Step:
    """Take in an event and decide."""
    was_standing = bool(memory.standing)
    memory, shaken = take_in(memory, event, settings)
    now_ns = event.now_ns
    duties = {
        name: _judge(memory, duty, now_ns, name in shaken, settings) for name, duty in memory.duties.items()
    }
    moves = {name: (memory.duties[name], duty) for name, duty in duties.items()}
    taken = tuple(n for n, (old, new) in moves.items() if new.state.records and not old.state.records)
    downed = tuple(n for n, (old, new) in moves.items() if old.state.records and not new.state.records)
    back = tuple(n for n, (old, new) in moves.items() if _left_duty(old, new))
    memory = replace(memory, duties=duties)
    actions: list[Action] = []
    if taken:
        memory = memory if was_standing else replace(memory, lease=memory.lease + 1)
        actions.append(TakeOver(taken, memory.lease))
    if downed:
        actions.append(StandDown(downed))
    if not memory.standing:
        memory = replace(memory, hurried=False)
    if back:
        incomplete = tuple(name for name in back if moves[name][0].left)
        actions.append(HandBack(back, incomplete, memory.lease, over=not memory.standing))
    return _merge_when_due(memory, actions, now_ns, settings)


def _left_duty(old: Duty, new: Duty) -> bool:
    return old.state != State.WATCHING and new.state == State.WATCHING


def _judge(memory: Memory, duty: Duty, now_ns: int, shaken: bool, settings: Settings) -> Duty:
    """The duty in the state that it should be in now."""
    down = is_down(memory, now_ns, settings)
    lost = shaken or memory.ordered or is_lost(memory, duty, now_ns, settings)
    quiet = is_quiet(memory, duty, now_ns, settings)
    whole = is_answering(memory, now_ns, settings) and (is_live(duty) or quiet)
    match duty.state:
        case State.WATCHING | State.SEALING if down or lost:
            return _enter(duty, State.STANDING_IN, now_ns)
        case State.SEALING if duty.passed_ns >= duty.since_ns and (
            not duty.left or duty.stuck >= STUCK_PASSES
        ):
            return _enter(duty, State.WATCHING, now_ns)
        case State.STANDING_IN if whole and not memory.ordered:
            return _enter(duty, State.MERGING, now_ns)
        case State.MERGING if down or memory.ordered or not (is_live(duty) or quiet):
            return _enter(duty, State.STANDING_IN, now_ns)
        case State.MERGING if whole and duty.passed_ns >= duty.since_ns:
            if quiet or memory.hurried or duty.moved_ns - duty.live_ns >= settings.handback_after_ns:
                return _enter(duty, State.SEALING, now_ns)
    return duty


def _enter(duty: Duty, state: State, now_ns: int) -> Duty:
    return replace(
        duty, state=state, since_ns=now_ns, stuck=0, left=0 if state == State.WATCHING else duty.left
    )


def _merge_when_due(memory: Memory, actions: list[Action], now_ns: int, settings: Settings) -> Step:
    if memory.running or now_ns < memory.next_pass_ns or not is_answering(memory, now_ns, settings):
        return Step(memory, tuple(actions))
    portions = [_portion(memory, name, duty, now_ns, settings) for name, duty in memory.duties.items()]
    wanted = tuple(portion for portion in portions if portion is not None)
    if not wanted:
        return Step(memory, tuple(actions))
    number = memory.passes + 1
    memory = replace(memory, passes=number, running=Pass(number, now_ns))
    return Step(memory, (*actions, StartMerge(number, wanted, memory.lease)))


def _portion(memory: Memory, name: str, duty: Duty, now_ns: int, settings: Settings) -> Portion | None:
    """What of a stream a pass that starts now takes."""
    if duty.state in (State.MERGING, State.SEALING):
        return Portion(name, until_ns=None if is_quiet(memory, duty, now_ns, settings) else duty.edge_ns)
    if duty.state != State.STANDING_IN:
        return None
    # The server is well but has lost this camera: bring back what is too old to reach it any more.
    patience_ns = settings.quiet_after_ns
    if duty.holding or now_ns - max(memory.instance_ns, duty.passed_ns, duty.since_ns) < patience_ns:
        return None
    return Portion(name, lag_ns=patience_ns)
