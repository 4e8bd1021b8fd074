from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import final, overload

import numpy as np
import numpy.typing as npt
from typing_extensions import Buffer, Self

from fovideo.media.frames import FrameTable
from fovideo.ring.units import Units

def leading(units: Buffer | Units) -> tuple[int, bool, int]:
    """How many rows there are before the first that is no frame, whether any of those tells of dropped frames, and
    the bytes of all rows' payloads.
    """

@final
class Payloads(Sequence[memoryview]):
    """Bytes of records, read-only, not copied; made by Ring.payloads. Compiled code takes them without the views."""

    @overload
    def __getitem__(self, which: int, /) -> memoryview: ...
    @overload
    def __getitem__(self, which: slice, /) -> Sequence[memoryview]: ...
    def __iter__(self) -> Iterator[memoryview]: ...
    def __len__(self) -> int: ...

@final
class Ring:
    """Bounded queue of variable-size records: one producer thread, one consumer thread, no locks.

    The two may be in two processes: memory is shared by `fd` (Linux). A call never blocks and never allocates in
    proportion to what is in the ring, apart from the rows of `units`. All methods raise ValueError once closed.
    """

    def __new__(cls, capacity_bytes: int, *, fd: int = -1, shared: bool = True, keep_bytes: int = 0) -> Self:
        """
        capacity_bytes: rounded up to 64 KiB; memory is used as it is touched.
        fd: attach to the ring of another process (kept open by a duplicate); capacity_bytes 0 = whatever it has.
        keep_bytes: memory at the start that stays when it is released, at most half of the ring. Records then go back there
            whenever little is held, so that a ring which is emptied regularly touches few pages, and always the same.
            0 = records run through the whole capacity. Shared memory only; nothing elsewhere.
        shared: False = plain memory without descriptor, as it is everywhere but on Linux.
        OSError: no memory, or `fd` is not a ring.
        """

    @property
    def fd(self) -> int:
        """Descriptor of the memory, for attaching from another process; -1 without shared memory, or when closed."""
    @property
    def capacity_bytes(self) -> int: ...

    # producer

    def push(self, payload: Buffer) -> bool:
        """Append a raw record; False if there is no room now."""
    def push_unit(
        self,
        *,
        kind: int,
        track: int,
        pts_ns: int,
        wall_ns: int,
        receipt_ns: int,
        session: int,
        payload: Buffer,
        packing: int = 0,
        value: int = 0,
        flags: int = 0,
        length_size: int = 4,
    ) -> bool:
        """Append a unit: payload brought into stored form, digested and flagged, without the GIL.

        kind: Kind. track: 0 to 3. packing: Packing. length_size: of AVCC and HVCC payloads.
        False if there is no room. A frame is then dropped and counted, and after a dropped video frame (track 1)
        all video is dropped until a keyframe fits; the frame of a track that goes in after drops carries
        LOST_BEFORE, and their number as `value`. Frames leave room for FORMAT and END records.
        """

    # consumer

    def units(self, start: int | None = None, limit: int = 4096, most_bytes: int = ...) -> Units:
        """Rows of the records from position `start` (default: the oldest one) on, at most `limit`, and none after
        the one with which they have `most_bytes` of payload.

        start: `tail`, or the `end` of a row before. ValueError if no record can begin there.
        """
    def payload(self, position: int, size: int) -> memoryview:
        """The bytes of a row, read-only, not copied. They stay as they are until they are released.

        The view keeps the memory, also when the ring is closed.
        """
    def payloads(self, positions: npt.NDArray[np.int64], frames: FrameTable) -> Payloads:
        """The payloads of a frame table, of the sizes that it says; see payload.

        positions: of each frame's payload. ValueError also for more of the one than of the other.
        """
    def release(self, position: int, *, discard: bool = False) -> None:
        """Everything before `position` (the `end` of a row) may be overwritten. ValueError if not in the ring.

        discard: give its memory back to the system as well, so that the ring costs what it holds and not what it
        could hold. That costs the producer a page fault for every 4 KiB. Views of released payloads then show zeros.
        """

    # any thread

    @property
    def head(self) -> int:
        """Position where the next record will begin."""
    @property
    def tail(self) -> int:
        """Position of the oldest record that was not released."""
    @property
    def used_bytes(self) -> int: ...
    @property
    def allowed_bytes(self) -> int:
        """How much may be in use: the capacity, or what `restrict` says."""
    def restrict(self, most_bytes: int) -> None:
        """Let less than the capacity be in use from now on, 0 = all of it; what is there already stays."""
    @property
    def largest_bytes(self) -> int:
        """The largest raw record that fits into the empty ring."""
    @property
    def pushed_units(self) -> int: ...
    @property
    def pushed_bytes(self) -> int: ...
    @property
    def dropped_units(self) -> int: ...
    @property
    def dropped_bytes(self) -> int: ...
    @property
    def closed(self) -> bool: ...
    def close(self) -> None:
        """Let go of the memory; views of payloads keep it for themselves. Closing twice is fine."""
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...
