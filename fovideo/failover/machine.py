"""The decision whether a spare stands in for a server: pure functions of events and their times.

`begin` makes the memory of one server, `step` takes in an event and says what to do. The judgement is by
camera: a silent server concerns all of them, a camera that no longer reaches the server's disk only itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from fovideo.failover.evidence import (
    is_answering,
    is_cut_off,
    is_down,
    is_live,
    is_lost,
    is_quiet,
    take_in,
)
from fovideo.failover.numbers import following
from fovideo.failover.values import (
    Action,
    Claim,
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
from fovideo.times import NS_PER_S

WANTED_NS = 10 * NS_PER_S
"""For so long a spare remembers that the server lost frames, should the spare that heals it fail."""

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
    settings: Settings | None = None,
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
        word_ns=now_ns,
        ordered=standing is not None and standing.ordered,
        reached_ns=now_ns,
        next_pass_ns=now_ns,
    )
    if not again:
        return Step(memory, ())
    if standing is None or not standing.cameras:
        memory = _numbered(memory, settings or Settings())
    else:
        memory = replace(memory, right=standing.lease if standing.right < 0 else standing.right)
    duties = {n: replace(d, state=State.STANDING_IN) if n in again else d for n, d in memory.duties.items()}
    return Step(replace(memory, duties=duties), (TakeOver(again, memory.right),))


def standing(memory: Memory) -> Standing:
    """What must survive a restart."""
    return Standing(
        memory.server,
        memory.lease,
        memory.standing,
        memory.ordered,
        memory.word == Word.DRAINED,
        memory.right if memory.standing and memory.right != memory.lease else -1,
    )


def step(memory: Memory, event: Event, settings: Settings) -> Step:
    """Take in an event and decide."""
    before = memory
    memory, shaken = take_in(memory, event, settings)
    now_ns = event.now_ns
    view = _View(memory, now_ns, settings)
    duties = {name: _judge(view, name, duty, name in shaken) for name, duty in memory.duties.items()}
    moves = {name: (memory.duties[name], duty) for name, duty in duties.items()}
    taken = tuple(n for n, (old, new) in moves.items() if new.state.records and not old.state.records)
    downed = tuple(n for n, (old, new) in moves.items() if old.state.records and not new.state.records)
    back = tuple(n for n, (old, new) in moves.items() if _left_duty(old, new))
    memory = replace(memory, duties=duties)
    actions: list[Action] = []
    if taken:
        memory = memory if before.standing else _entitled(view, memory)
        actions.append(TakeOver(taken, memory.right))
    memory = _stamp_again(view, memory, actions)
    if downed:
        actions.append(StandDown(downed))
    if back:
        incomplete = tuple(name for name in back if moves[name][0].left)
        actions.append(HandBack(back, incomplete, memory.right, over=not memory.standing))
    if not memory.standing:
        memory = replace(memory, hurried=False, right=0)
    memory = _claim(view, memory, actions)
    return _merge_when_due(memory, actions, now_ns, settings)


def _left_duty(old: Duty, new: Duty) -> bool:
    return old.state != State.WATCHING and new.state == State.WATCHING


class _View:
    """What the judgements of one step have in common."""

    def __init__(self, memory: Memory, now_ns: int, settings: Settings) -> None:
        self.memory, self.now_ns, self.settings = memory, now_ns, settings
        self.down = is_down(memory, now_ns, settings)
        self.answering = is_answering(memory, now_ns, settings)
        self.cut_off = is_cut_off(memory)
        waited = memory.claims > 0 and now_ns - memory.asked_ns >= settings.claim_within_ns
        self.alone = bool(memory.asked) and waited and memory.ruled_ns < memory.asked_ns
        """Asked long ago, and nobody has ruled: when in doubt, record."""

    def may_take(self, name: str) -> bool:
        """Whether nothing keeps this spare from standing in for the camera."""
        return not self.settings.arbitrated or self.cut_off or self.alone or name in self.memory.mine

    def calls(self, name: str, duty: Duty) -> bool:
        """Whether somebody has to stand in for the camera now."""
        memory, now_ns = self.memory, self.now_ns
        hurt = duty.wanted_ns >= 0 and now_ns - duty.wanted_ns < WANTED_NS
        return self.down or memory.ordered or hurt or is_lost(memory, duty, now_ns, self.settings)

    def is_covered(self, name: str) -> bool:
        """Whether another spare has the camera, and this one has no right to it."""
        return self.settings.arbitrated and name in self.memory.others and name not in self.memory.mine


def _judge(view: _View, name: str, duty: Duty, shaken: bool) -> Duty:
    """The duty in the state that it should be in now."""
    memory, now_ns, settings = view.memory, view.now_ns, view.settings
    covered = view.is_covered(name)
    if shaken and not duty.state.records:
        duty = replace(duty, wanted_ns=now_ns)
    if covered and duty.state.records:
        return _enter(duty, State.SEALING, now_ns)
    quiet = is_quiet(memory, duty, now_ns, settings)
    live = is_live(duty)
    whole = view.answering and (live or quiet) and not memory.ailing
    match duty.state:
        case State.WATCHING | State.SEALING if not covered and view.calls(name, duty):
            if view.may_take(name):
                return _enter(duty, State.STANDING_IN, now_ns)
        case State.SEALING if duty.passed_ns >= duty.since_ns and (
            not duty.left or duty.stuck >= STUCK_PASSES
        ):
            return _enter(duty, State.WATCHING, now_ns)
        case State.STANDING_IN if whole and not memory.ordered:
            return _enter(duty, State.MERGING, now_ns)
        case State.MERGING if view.down or memory.ordered or not (live or quiet):
            return _enter(duty, State.STANDING_IN, now_ns)
        case State.MERGING if whole and duty.passed_ns >= duty.since_ns:
            if quiet or memory.hurried or duty.moved_ns - duty.live_ns >= settings.handback_after_ns:
                return _enter(duty, State.SEALING, now_ns)
    return duty


def _enter(duty: Duty, state: State, now_ns: int) -> Duty:
    left = 0 if state == State.WATCHING else duty.left
    wanted_ns = -1 if state.records else duty.wanted_ns
    return replace(duty, state=state, since_ns=now_ns, stuck=0, wanted_ns=wanted_ns, left=left)


def _numbered(memory: Memory, settings: Settings) -> Memory:
    """With a number of its own making."""
    number = following(memory.lease, settings.slot, settings.step)
    return replace(memory, lease=number, right=number)


def _entitled(view: _View, memory: Memory) -> Memory:
    """The memory of a spare that begins to stand in: under which number."""
    if view.cut_off:
        return replace(memory, right=0)
    if view.settings.arbitrated and memory.granted:
        return replace(memory, right=memory.granted)
    return _numbered(memory, view.settings)


def _stamp_again(view: _View, memory: Memory, actions: list[Action]) -> Memory:
    """What is recorded goes on under a higher number when there is one, and gets one when it has none."""
    recording = tuple(name for name, duty in memory.duties.items() if duty.state.records)
    if not recording:
        return memory
    if view.settings.arbitrated:
        if not (memory.granted > memory.right and memory.mine):
            return memory
        memory = replace(memory, right=memory.granted)
    elif memory.right == 0 and view.down and not view.cut_off:
        memory = _numbered(memory, view.settings)
    else:
        return memory
    actions.append(TakeOver(recording, memory.right))
    return memory


def _claim(view: _View, memory: Memory, actions: list[Action]) -> Memory:
    """Tell the other spares, when there are any, what this one wants or has."""
    if not view.settings.arbitrated or view.cut_off:
        return memory
    wanted = frozenset(
        name
        for name, duty in memory.duties.items()
        if not view.is_covered(name)
        and (view.calls(name, duty) or (duty.state != State.WATCHING and memory.right > 0))
    )
    if wanted == memory.asked:
        return memory
    grown = bool(wanted - memory.asked)
    memory = replace(
        memory,
        asked=wanted,
        asked_ns=view.now_ns if grown else memory.asked_ns,
        claims=memory.claims + 1,
        mine=memory.mine & wanted,
        granted=memory.granted if wanted else 0,
    )
    actions.append(Claim(memory.claims, tuple(sorted(wanted))))
    return memory


def _merge_when_due(memory: Memory, actions: list[Action], now_ns: int, settings: Settings) -> Step:
    if memory.running or now_ns < memory.next_pass_ns or not is_answering(memory, now_ns, settings):
        return Step(memory, tuple(actions))
    portions = [_portion(memory, name, duty, now_ns, settings) for name, duty in memory.duties.items()]
    wanted = tuple(portion for portion in portions if portion is not None)
    if not wanted:
        return Step(memory, tuple(actions))
    number = memory.passes + 1
    memory = replace(memory, passes=number, running=Pass(number, now_ns))
    return Step(memory, (*actions, StartMerge(number, wanted, memory.right)))


def _portion(memory: Memory, name: str, duty: Duty, now_ns: int, settings: Settings) -> Portion | None:
    """What of a stream a pass that starts now takes."""
    if duty.state in (State.MERGING, State.SEALING):
        quiet = is_quiet(memory, duty, now_ns, settings)
        if not quiet and not is_live(duty):
            return None  # the edge may be in another clock, or be that of a former instance
        return Portion(name, until_ns=None if quiet else duty.edge_ns)
    if duty.state != State.STANDING_IN:
        return None
    # The server is well but has lost this camera: bring back what is too old to reach it any more.
    patience_ns = settings.quiet_after_ns
    if duty.holding or now_ns - max(memory.instance_ns, duty.passed_ns, duty.since_ns) < patience_ns:
        return None
    return Portion(name, lag_ns=patience_ns)
