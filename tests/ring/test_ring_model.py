"""The ring against a list: whatever is pushed and released, in whatever order."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fovideo.ring import UNIT, Ring

CAPACITY = 65_536
SIZES = st.one_of(st.integers(0, 40), st.integers(0, 9_000), st.integers(30_000, CAPACITY + 9))
PATTERN = bytes(range(251)) * (2 * CAPACITY // 251 + 2)


class RingMachine(RuleBasedStateMachine):
    """Producer and consumer in turn; `records` is what the ring must hold."""

    ring: Ring
    records: deque[bytes]

    @initialize(shared=st.booleans(), keep=st.sampled_from([0, 4096, CAPACITY // 2]))
    def start(self, shared: bool, keep: int) -> None:
        self.shared, self.keeps = shared, shared and keep > 0
        self.ring = Ring(CAPACITY, shared=shared, keep_bytes=keep)
        self.peer = Ring(0, fd=self.ring.fd) if shared else self.ring
        self.records = deque()
        self.pushed = 0

    def room_for(self, size: int) -> bool:
        """Header of 8 bytes, padding to 8; a page stays free, or the record is in one piece if not shared."""
        need = (size + 15) & ~7
        if not self.shared:
            rest = CAPACITY - self.ring.head % CAPACITY
            need += rest if need > rest else 0
        free = CAPACITY - 4096 * self.shared - self.ring.used_bytes
        return size <= self.ring.largest_bytes and need <= free

    @rule(size=SIZES)
    def push(self, size: int) -> None:
        payload = PATTERN[self.pushed % 251 :][:size]
        expected, in_pieces = self.room_for(size), self.ring.head - self.ring.tail > self.ring.used_bytes
        pushed = self.ring.push(payload)
        if pushed is not expected:  # what is free lies in two places after going back to the start
            assert self.keeps
            assert in_pieces
            assert not pushed
        if pushed:
            self.records.append(payload)
            self.pushed += 1

    @precondition(lambda self: self.records)
    @rule(data=st.data(), discard=st.booleans())
    def release(self, data: st.DataObject, discard: bool) -> None:
        rows = self.peer.units(limit=data.draw(st.integers(1, 300)))
        count = data.draw(st.integers(1, len(rows)))
        self.peer.release(int(rows["end"][count - 1]), discard=discard)
        for _ in range(count):
            self.records.popleft()

    @precondition(lambda self: self.records)
    @rule(limit=st.integers(1, 5), data=st.data())
    def read_on_from_the_middle(self, limit: int, data: st.DataObject) -> None:
        rows = self.peer.units()
        at = data.draw(st.integers(0, len(rows) - 1))
        part = self.peer.units(int(rows["end"][at]), limit)
        assert part.tolist() == rows[at + 1 : at + 1 + limit].tolist()

    @invariant()
    def holds_what_was_pushed(self) -> None:
        if not hasattr(self, "ring"):
            return
        rows = self.peer.units()
        assert rows.dtype == UNIT
        assert [bytes(self.peer.payload(int(r["position"]), int(r["size"]))) for r in rows] == list(
            self.records
        )
        assert (self.ring.used_bytes == 0) == (not self.records) or not self.shared
        assert 0 <= self.ring.used_bytes <= CAPACITY
        assert self.ring.tail <= self.ring.head

    def teardown(self) -> None:
        if hasattr(self, "ring"):
            self.ring.close()
            self.peer.close()


TestRing = RingMachine.TestCase


@pytest.mark.parametrize("shared", [True, False])
def test_the_largest_record_fits_at_any_place(shared: bool) -> None:
    with Ring(CAPACITY, shared=shared) as ring:
        size = ring.largest_bytes
        assert size == (CAPACITY - 4096 if shared else CAPACITY // 2) - 8
        assert not ring.push(bytes(size + 1))
        for step in range(0, 4000, 8):
            assert ring.push(PATTERN[: step + 1])
            ring.release(ring.head)
            assert ring.push(PATTERN[step % 251 :][:size])
            (row,) = ring.units()
            assert ring.payload(row["position"], row["size"]) == PATTERN[step % 251 :][:size]
            ring.release(int(row["end"]))
