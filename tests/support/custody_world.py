"""Two real stores with real H.264, sound and metadata: a server that was away, and a spare that was not."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import streams
from streams import FRAME_NS, T0_NS, Made

from fovideo.custody import CustodyRecord, Written
from fovideo.media.codec import Codec
from fovideo.merge import MergeReport, merge
from fovideo.store import Store
from fovideo.timeline.endpoint import FileRange, Timeline
from fovideo.timeline.values import Gop, Loss, Provenance

S = 1_000_000_000


def camera(count: int = 100, *, sound: bool = True) -> list[Made]:
    """What a camera sent: 25 pictures a second, a tone, documents."""
    found = [streams.video(count=count)]
    if sound:
        found += [streams.audio(Codec.PCMU, count / 25), streams.metadata(count // 5)]
    return found


def record(
    store: Store,
    made: Iterable[Made],
    first: int,
    last: int,
    *,
    session: int,
    recorder: str,
    losses: Iterable[Loss] = (),
    late_ns: int = 0,
    lost: Iterable[int] = (),
) -> None:
    """A session that received the pictures first..last-1 and what else was sent meanwhile, but for the lost
    ones. late_ns: by how much its clock is ahead.
    """
    made = list(made)
    start_ns, end_ns = T0_NS + first * FRAME_NS, T0_NS + last * FRAME_NS
    provenance = Provenance(recorder=recorder, session=f"{session:016x}", source="rtsp://camera/1")
    gone = {T0_NS + number * FRAME_NS for number in lost}
    with store.writer("gate", provenance, pending=recorder.startswith("spare")) as writer:
        writer.set_format([stream.track for stream in made])
        for at_ns in range(start_ns, end_ns, 5 * FRAME_NS):
            tables, payloads = [], []
            for stream in made:
                dts = stream.frames["dts_ns"]
                inside = np.flatnonzero((dts >= at_ns) & (dts < min(at_ns + 5 * FRAME_NS, end_ns)))
                inside = np.array([n for n in inside.tolist() if int(dts[n]) not in gone], np.int64)
                table = stream.frames[inside]
                table["time_ns"] += late_ns
                table["dts_ns"] += late_ns
                table["receipt_ns"] += late_ns
                tables.append(table)
                payloads += [stream.payloads[number] for number in inside.tolist()]
            frames = np.concatenate(tables)
            order = np.argsort(frames["dts_ns"], kind="stable")
            writer.append(frames[order], [payloads[number] for number in order.tolist()], epoch=0)
        for loss in losses:
            writer.loss(loss)
    store.commit()


def outage(folder: Path, *, sound: bool = True) -> tuple[Store, Store]:
    """(spare, server), both open for writing. The server lacks pictures 30 to 70, the spare has 20 to 85."""
    made = camera(sound=sound)
    server = Store.open(folder / "server", write=True, create=True)
    spare = Store.open(folder / "spare", write=True, create=True)
    record(server, made, 0, 30, session=1, recorder="rec-1")
    record(server, made, 70, 100, session=2, recorder="rec-1")
    record(spare, made, 20, 85, session=3, recorder="spare-1", late_ns=3_000_000)
    return spare, server


def merged(spare: Timeline, server: Timeline, manifest: Path, **options: Any) -> tuple[MergeReport, Written]:
    """Merge, and write the manifest of it."""
    record = CustodyRecord.begin(manifest, spare, server, **options)
    report = merge(spare, server, on_insert=record.inserted)
    return report, record.finish()


def inserted_rows(server: Store, stream: str = "gate") -> list[Gop]:
    """Rows of the server that came by a merge."""
    provenances = server.provenances(stream)
    return [row for row in server.gops(stream) if provenances[row.provenance].inserted_from]


def flip(place: FileRange, offset: int, mask: int = 1) -> None:
    """Change one byte of a file; offset: from the place's first."""
    with Path(place.path).open("r+b") as file:
        file.seek(place.offset + offset)
        byte = file.read(1)[0]
        file.seek(place.offset + offset)
        file.write(bytes([byte ^ mask]))
