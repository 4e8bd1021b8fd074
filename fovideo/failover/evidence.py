"""What an event says about a server and its cameras. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from fovideo.failover.values import (
    Answered,
    CameraSeen,
    Duty,
    Event,
    Heard,
    Memory,
    MergeEnded,
    NoAnswer,
    Ordered,
    Ruled,
    Settings,
    State,
    Tick,
    Witnessed,
    Word,
)

MISSES_NEEDED = 2
"""Polls that must fail before a server can count as down: one slow answer is no failure, and neither is a
pause of the spare itself, after which no poll has failed yet although the last answer is long ago."""

MAX_BACKOFF_DOUBLINGS = 5


def is_down(memory: Memory, now_ns: int, settings: Settings) -> bool:
    """Whether the server as a whole counts as down."""
    if memory.word == Word.DRAINED:
        return False
    if memory.word == Word.STOPPING:
        return now_ns - memory.word_ns >= settings.reboot_grace_ns
    return memory.misses >= MISSES_NEEDED and suspicion(memory, now_ns, settings) >= 1


def suspicion(memory: Memory, now_ns: int, settings: Settings) -> float:
    """How likely the server is down: it accrues with silence, 0 at an answer, 1 where it counts as down.

    The silence that is allowed is takeover_after and what this server's answers usually take: mean and four
    mean deviations, as TCP reckons its retransmission timeout, at most slack. Refused connections count for
    more: a machine that says that nobody listens is no slow one.
    """
    silence_ns = now_ns - memory.told_ns
    usual_ns = min(memory.delay_ns + 4 * memory.swing_ns, settings.slack_ns)
    accrued = silence_ns / max(settings.takeover_after_ns + usual_ns, 1)
    if memory.refusals >= MISSES_NEEDED:
        accrued = max(accrued, silence_ns / max(settings.refused_after_ns, 1))
    return accrued if memory.misses else 0.0


def is_cut_off(memory: Memory) -> bool:
    """Whether it may be this spare that the network lost, and not the server.

    A witness counts that was reached after the server was first missed; so does the server's own machine
    when it says that nobody listens there.
    """
    silent = memory.misses > 0 and not memory.refusals
    return memory.witnessed and silent and memory.reached_ns < memory.missed_ns


def is_answering(memory: Memory, now_ns: int, settings: Settings) -> bool:
    """Whether the last poll was answered, not long ago, by a server that means to record.

    What was heard before a pause of the spare itself is no ground to rely on the server now.
    """
    fresh = now_ns - memory.told_ns <= settings.takeover_after_ns
    return fresh and bool(memory.instance) and not memory.misses and memory.word == Word.RECORDING


def is_live(duty: Duty) -> bool:
    """Whether the camera's frames reach the server's disk."""
    return duty.live_ns >= 0


def is_late(duty: Duty) -> bool:
    """Whether the camera's frames wait in the server's memory for so long that they are in danger there."""
    return duty.late >= MISSES_NEEDED


def is_lost(memory: Memory, duty: Duty, now_ns: int, settings: Settings) -> bool:
    """Whether this spare hears the camera while its frames do not reach the disk of a server that answers."""
    if not is_answering(memory, now_ns, settings) or duty.heard_ns < 0:
        return False
    if memory.ailing >= MISSES_NEEDED or is_late(duty):
        return True
    return memory.told_ns - max(duty.heard_ns, duty.moved_ns) >= settings.stalled_after_ns


def is_quiet(memory: Memory, duty: Duty, now_ns: int, settings: Settings) -> bool:
    """Whether the camera has been silent for so long that no frame of it is still on its way to a disk."""
    if not is_answering(memory, now_ns, settings) or duty.heard_ns >= 0 or duty.holding:
        return False
    last_ns = max(duty.unheard_ns, duty.moved_ns, memory.instance_ns)
    return memory.told_ns - last_ns >= settings.quiet_after_ns


def take_in(memory: Memory, event: Event, settings: Settings) -> tuple[Memory, frozenset[str]]:
    """The memory with the event in it, and the cameras of which the server may have lost frames just now."""
    match event:
        case Answered():
            return _answered(memory, event, settings)
        case NoAnswer():
            refusals = memory.refusals + 1 if event.refused else 0
            missed_ns = memory.missed_ns if memory.misses else event.now_ns
            misses = memory.misses + 1
            return replace(memory, misses=misses, refusals=refusals, missed_ns=missed_ns), frozenset()
        case Heard():
            duties = {
                name: _heard(duty, name in event.cameras, event.now_ns)
                for name, duty in memory.duties.items()
            }
            return replace(memory, duties=duties), frozenset()
        case MergeEnded():
            return _merge_ended(memory, event, settings), frozenset()
        case Witnessed():
            reached_ns = max(memory.reached_ns, event.reached_ns)
            return replace(memory, witnessed=True, reached_ns=reached_ns), frozenset()
        case Ruled():
            return _ruled(memory, event), frozenset()
        case Ordered():
            return replace(memory, ordered=event.stand_in, hurried=not event.stand_in), frozenset()
        case Tick():
            return memory, frozenset()


def _answered(memory: Memory, event: Answered, settings: Settings) -> tuple[Memory, frozenset[str]]:
    now_ns, restarted = event.now_ns, event.instance != memory.instance
    known, planned = bool(memory.instance) or memory.misses > 0, memory.word == Word.DRAINED
    silent = now_ns - memory.told_ns > settings.takeover_after_ns
    if event.word != memory.word:
        memory = replace(memory, word=event.word, word_ns=now_ns)
    memory = replace(
        _timed(memory, event.took_ns),
        told_ns=now_ns,
        misses=0,
        refusals=0,
        ailing=memory.ailing + 1 if event.storage_fails else 0,
    )
    if restarted:
        memory = replace(memory, instance=event.instance, instance_ns=now_ns, failures=0, next_pass_ns=now_ns)
    duties, shaken = {}, set()
    for name, duty in memory.duties.items():
        seen = event.cameras.get(name, CameraSeen())
        duty = _noted(duty, seen, now_ns, settings)
        if restarted:
            # What the last instance held in memory is gone; so is what came before this one was ready.
            if not planned and (known or not seen.durable_to_ns) and _was_heard(duty, now_ns, settings):
                shaken.add(name)
            duties[name] = replace(
                duty,
                edge_ns=seen.durable_to_ns,
                moved_ns=now_ns,
                live_ns=-1,
                interruptions=seen.interruptions,
                late=0,
            )
            continue
        if seen.interruptions != duty.interruptions:
            # A server that ends on purpose ends its sessions, too.
            if event.word != Word.DRAINED and _was_heard(duty, now_ns, settings):
                shaken.add(name)
            duty = replace(duty, interruptions=seen.interruptions, live_ns=-1)
        if silent:
            duty = replace(duty, moved_ns=now_ns, live_ns=-1)  # what it was before the silence proves nothing
        if seen.durable_to_ns != duty.edge_ns:
            live_ns = duty.live_ns if is_live(duty) else now_ns
            if duty.unsettled_ns >= 0 and now_ns - duty.unsettled_ns < settings.quiet_after_ns:
                live_ns = -1
            duty = replace(duty, edge_ns=seen.durable_to_ns, moved_ns=now_ns, live_ns=live_ns)
        elif now_ns - duty.moved_ns >= settings.stalled_after_ns:
            duty = replace(duty, live_ns=-1)
        if is_late(duty):
            duty = replace(duty, live_ns=-1)
        duties[name] = duty
    return replace(memory, duties=duties), frozenset(shaken)


def _timed(memory: Memory, took_ns: int) -> Memory:
    """With one more answer's time in the mean and in the mean deviation."""
    error_ns = took_ns - memory.delay_ns
    swing_ns = memory.swing_ns + (abs(error_ns) - memory.swing_ns) // 4
    return replace(memory, delay_ns=memory.delay_ns + error_ns // 8, swing_ns=swing_ns)


def _ruled(memory: Memory, event: Ruled) -> Memory:
    current = event.claim == memory.claims
    if event.healed:
        duties = {
            name: replace(duty, wanted_ns=-1) if name in event.healed else duty
            for name, duty in memory.duties.items()
        }
        memory = replace(memory, duties=duties)
    return replace(
        memory,
        lease=max(memory.lease, event.number),
        others=event.others,
        mine=event.mine if current else memory.mine,
        granted=event.number if current else memory.granted,
        ruled_ns=event.now_ns if current else memory.ruled_ns,
    )


def _noted(duty: Duty, seen: CameraSeen, now_ns: int, settings: Settings) -> Duty:
    unsettled_ns = -1 if seen.settled else duty.unsettled_ns if duty.unsettled_ns >= 0 else now_ns
    late = duty.late + 1 if seen.late_ns >= settings.late_after_ns else 0
    if is_late(duty) and seen.late_ns > settings.late_after_ns // 2:
        late = duty.late  # in time again is only what is clearly so
    return replace(duty, holding=seen.holding, unsettled_ns=unsettled_ns, late=late)


def _was_heard(duty: Duty, now_ns: int, settings: Settings) -> bool:
    """Whether this spare can have frames of the camera that the server lost just now."""
    return duty.met and (duty.heard_ns >= 0 or now_ns - duty.unheard_ns < settings.quiet_after_ns)


def _heard(duty: Duty, heard: bool, now_ns: int) -> Duty:
    if heard:
        return duty if duty.heard_ns >= 0 else replace(duty, heard_ns=now_ns, met=True)
    return duty if duty.heard_ns < 0 else replace(duty, heard_ns=-1, unheard_ns=now_ns)


def _merge_ended(memory: Memory, event: MergeEnded, settings: Settings) -> Memory:
    if memory.running is None or memory.running.number != event.number:
        return memory
    duties = dict(memory.duties)
    for name, outcome in event.outcomes.items():
        if name not in duties:
            continue
        duty = duties[name]
        moving = outcome.inserted > 0 or outcome.left != duty.left
        hopeless = duty.state == State.SEALING and outcome.left > outcome.deferred and not moving
        stuck = duty.stuck + 1 if hopeless else 0
        duties[name] = replace(duty, passed_ns=memory.running.started_ns, left=outcome.left, stuck=stuck)
    failures = memory.failures + 1 if event.error else 0
    pause_ns = settings.merge_every_ns << min(failures, MAX_BACKOFF_DOUBLINGS)
    return replace(
        memory, duties=duties, running=None, failures=failures, next_pass_ns=event.now_ns + pause_ns
    )
