"""Explorer of the ring's index protocol: every interleaving, every value that weakly ordered memory may show.

The protocol of fov_ring.h in atomic steps, over a ring of a few cells. Memory is C11's without promises:
an atomic variable is the list of its values, a load may return any that its thread has not passed yet, a
release store carries what its thread knows and an acquire load takes that over. Cells are plain memory: two
accesses, one of them a write, neither known to happen before the other, are a data race and reported. So is
a cell that does not hold what was pushed, and a state in which nobody can go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

PRODUCER, CONSUMER = 0, 1
SKIP = -2


class ProtocolViolation(AssertionError):
    """What a ring must never do."""


@dataclass(frozen=True)
class Protocol:
    """The protocol as it is, or with a mistake in it.

    sizes: cells of the records, in the order in which they are pushed.
    padded: a record that would pass the end of the area goes to its start, behind a skip record.
    batch: records that the consumer reads before it releases them at once.
    staged: records that the producer writes before it publishes them at once, room permitting.
    rewinds: where nothing forbids it, the producer may go back to place 0 before any record (it tries both);
        and it passes over what is held when it comes to that. Not with padded or staged.
    """

    capacity: int
    sizes: tuple[int, ...]
    padded: bool = False
    batch: int = 1
    staged: int = 1
    rewinds: bool = False
    head_release: bool = True
    head_acquire: bool = True
    tail_release: bool = True
    tail_acquire: bool = True
    slack: int = 0  # cells that the producer believes in, but that are not there
    early_head: bool = False  # head is stored before the last cell is written
    early_tail: bool = False  # tail is stored before the last cell is read
    stale: bool = False  # a cached index is never refreshed
    rewinds_over: bool = False  # the producer goes back although a cell too many is still held there
    passes_short: bool = False  # it passes to the skip's own cell
    headless: bool = False  # it leaves no cell for the header of a pass
    passes_end: bool = False  # after a pass it goes on beyond where the lap began


class Message(NamedTuple):
    """A value of an atomic variable. clocks: what its writer knew, if the store was a release."""

    value: int
    clocks: tuple[int, int] | None


class Cell(NamedTuple):
    """Ordinary memory: its value, and the clock of each thread at its last write and its last read."""

    value: int = -1
    writes: tuple[int, int] = (0, 0)
    reads: tuple[int, int] = (0, 0)


class State(NamedTuple):
    """Everything that decides what can happen next. Pairs are (producer, consumer).

    indices: values of head and of tail that the other side may still see, oldest first.
    step: accesses done of the current record; stored: its index went out before the last of them.
    """

    cells: tuple[Cell, ...]
    indices: tuple[tuple[Message, ...], tuple[Message, ...]] = ((Message(0, None),), (Message(0, None),))
    clocks: tuple[tuple[int, int], tuple[int, int]] = ((1, 0), (0, 1))
    cached: tuple[int, int] = (0, 0)  # cached_tail, cached_head
    position: tuple[int, int] = (0, 0)
    record: tuple[int, int] = (0, 0)
    step: tuple[int, int] = (0, 0)
    stored: tuple[bool, bool] = (False, False)
    skip: int = 0  # cells that the producer leaves out before the present record, once it has begun it
    rewound: tuple[int, int] = (0, 0)  # the last skip to place 0: from, to
    passed: int = 0  # end of the last skip over what was held


def put(items: tuple[Any, ...], index: int, value: Any) -> tuple[Any, ...]:
    return (*items[:index], value, *items[index + 1 :])


def access(state: State, thread: int, place: int, write: int | None) -> State:
    """A read of a cell, or a write of `write` to it."""
    cell, other = state.cells[place], 1 - thread
    known, now = state.clocks[thread][other], state.clocks[thread][thread]
    if cell.writes[other] > known or (write is not None and cell.reads[other] > known):
        raise ProtocolViolation(f"data race on cell {place}")
    if write is None:
        cell = cell._replace(reads=put(cell.reads, thread, now))
    else:
        cell = cell._replace(value=write, writes=put(cell.writes, thread, now))
    return state._replace(cells=put(state.cells, place, cell))


def store(state: State, thread: int, value: int, *, release: bool) -> State:
    """The thread's index gets a new value; a release makes the thread's clock tick."""
    mine = state.clocks[thread]
    message = Message(value, mine if release else None)
    ticked = put(mine, thread, mine[thread] + 1)
    return state._replace(
        indices=put(state.indices, thread, (*state.indices[thread], message)),
        clocks=put(state.clocks, thread, ticked),
    )


def load(state: State, thread: int, *, acquire: bool) -> Iterator[State]:
    """All ways in which the thread can read the other's index into its cache."""
    messages = state.indices[1 - thread]
    for at, message in enumerate(messages):
        clocks = state.clocks[thread]
        if acquire and message.clocks is not None:
            clocks = (max(clocks[0], message.clocks[0]), max(clocks[1], message.clocks[1]))
        yield state._replace(
            indices=put(state.indices, 1 - thread, messages[at:]),
            cached=put(state.cached, thread, message.value),
            clocks=put(state.clocks, thread, clocks),
        )


def limit(protocol: Protocol, state: State) -> int:
    """Position up to which the producer may write."""
    tail, free = state.cached[PRODUCER], protocol.capacity + protocol.slack
    to = state.rewound[1]
    if tail >= to:
        return tail + free
    if state.passed > to:
        return to + free + 2 * protocol.passes_end
    return tail + free - (not protocol.headless)


def skips(protocol: Protocol, state: State, position: int, size: int) -> list[int]:
    """The ways to write the next record: cells to leave out before it. None: there is no room."""
    capacity, place = protocol.capacity, position % protocol.capacity
    if protocol.padded and size > capacity - place:
        skip = capacity - place
        return [skip] if position + skip + size <= limit(protocol, state) else []
    ways = [0] if position + size <= limit(protocol, state) else []
    if not protocol.rewinds:
        return ways
    tail, (start, to) = state.cached[PRODUCER], state.rewound
    before = place - (position - tail)  # free cells of this lap before tail
    room = before + 2 * protocol.rewinds_over
    if tail >= max(to, state.passed) and place and size + 1 <= room:
        ways.append(capacity - place)
    if not ways and tail < to and state.passed <= to:
        behind = to + start % capacity + (not protocol.passes_short)
        if position < behind and behind + size <= to + capacity:
            ways.append(behind - position)
    return ways


def produce(protocol: Protocol, state: State) -> Iterator[State]:
    number = state.record[PRODUCER]
    if number == len(protocol.sizes):
        return
    position, size, step = state.position[PRODUCER], protocol.sizes[number], state.step[PRODUCER]
    ways = [state.skip] if step else skips(protocol, state, position, size)
    if protocol.rewinds and not step and not protocol.stale:
        yield from load(state, PRODUCER, acquire=protocol.tail_acquire)  # it looks whenever it likes
    if not ways:
        if not protocol.stale:
            yield from load(state, PRODUCER, acquire=protocol.tail_acquire)
        if position != state.indices[PRODUCER][-1].value:
            yield store(state, PRODUCER, position, release=protocol.head_release)
        return
    for skip in ways:
        yield write(protocol, state._replace(skip=skip))


def write(protocol: Protocol, state: State) -> State:
    """The next access of the producer to the record that it has begun, or the store of its index."""
    number, capacity, skip = state.record[PRODUCER], protocol.capacity, state.skip
    position, size, step = state.position[PRODUCER], protocol.sizes[number], state.step[PRODUCER]
    place = position % capacity
    publishes = (number + 1) % protocol.staged == 0 or number + 1 == len(protocol.sizes)
    writes = [(place, SKIP - skip)] if skip else []
    writes += [((position + skip + cell) % capacity, number) for cell in range(size)]
    end = position + skip + size
    if publishes and not state.stored[PRODUCER] and step == len(writes) - protocol.early_head:
        state = store(state, PRODUCER, end, release=protocol.head_release)
        return skipped(protocol, finish(state, PRODUCER, step, len(writes), end), position)
    after = access(state, PRODUCER, *writes[step])
    after = after._replace(step=put(state.step, PRODUCER, step + 1))
    if step + 1 == len(writes) and not publishes:
        return after._replace(
            position=put(state.position, PRODUCER, end),
            record=put(state.record, PRODUCER, number + 1),
            step=put(state.step, PRODUCER, 0),
            skip=0,
        )
    return skipped(protocol, finish(after, PRODUCER, step + 1, len(writes), end), position)


def skipped(protocol: Protocol, state: State, position: int) -> State:
    """The producer remembers the skip of a record that began at `position`, when it is done with it."""
    if state.position[PRODUCER] == position or not state.skip:
        return state
    to = position + state.skip
    if protocol.rewinds and to % protocol.capacity == 0:
        state = state._replace(rewound=(position, to))
    elif protocol.rewinds:
        state = state._replace(passed=to)
    return state._replace(skip=0)


def finish(state: State, thread: int, step: int, accesses: int, end: int) -> State:
    """The same record, or the next one when all accesses are done and the index is stored."""
    stored = state.indices[thread][-1].value == end
    if step < accesses or not stored:
        return state._replace(stored=put(state.stored, thread, stored))
    return state._replace(
        position=put(state.position, thread, end),
        record=put(state.record, thread, state.record[thread] + 1),
        step=put(state.step, thread, 0),
        stored=put(state.stored, thread, False),
    )


def consume(protocol: Protocol, state: State) -> Iterator[State]:
    number, capacity = state.record[CONSUMER], protocol.capacity
    if number == len(protocol.sizes):
        return
    position, size, step = state.position[CONSUMER], protocol.sizes[number], state.step[CONSUMER]
    if step == 0 and position == state.cached[CONSUMER]:
        if not protocol.stale:
            yield from load(state, CONSUMER, acquire=protocol.head_acquire)
        return
    releases = (number + 1) % protocol.batch == 0 or number + 1 == len(protocol.sizes)
    end = position + size
    if releases and not state.stored[CONSUMER] and step and step == size - protocol.early_tail:
        state = store(state, CONSUMER, end, release=protocol.tail_release)
        yield finish(state, CONSUMER, step, size, end)
        return
    place = (position + step) % capacity
    after = access(state, CONSUMER, place, None)
    value = state.cells[place].value
    if step == 0 and value <= SKIP:
        yield after._replace(position=put(state.position, CONSUMER, position + SKIP - value))
        return
    if value != number:
        raise ProtocolViolation(f"record {number} holds {value}")
    after = after._replace(step=put(state.step, CONSUMER, step + 1))
    if step + 1 == size and not releases:
        yield after._replace(
            position=put(state.position, CONSUMER, end),
            record=put(state.record, CONSUMER, number + 1),
            step=put(state.step, CONSUMER, 0),
        )
        return
    yield finish(after, CONSUMER, step + 1, size, end)


def explore(protocol: Protocol) -> int:
    """Visits every state that can be reached; returns their number. ProtocolViolation says what is wrong."""
    first = State(cells=(Cell(),) * protocol.capacity)
    seen, todo = {first}, [first]
    while todo:
        state = todo.pop()
        used = state.position[PRODUCER] - state.indices[CONSUMER][-1].value
        if not 0 <= used <= (1 + protocol.rewinds) * protocol.capacity + protocol.slack:
            raise ProtocolViolation(f"{used} cells in use of {protocol.capacity}")
        ways = [way for side in (produce, consume) for way in side(protocol, state) if way != state]
        if not ways and state.record != (len(protocol.sizes),) * 2:
            raise ProtocolViolation("nobody can go on")
        new = [way for way in ways if way not in seen]
        seen.update(new)
        todo += new
    return len(seen)
