"""Group commit: segment data durable first, then one index transaction, then the rows are visible."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from fovideo.errors import StoreError
from fovideo.index import Index, Update
from fovideo.segment import Room, SegmentHeader
from fovideo.store.apply import apply_changes, name_segment
from fovideo.store.assemble import Noted
from fovideo.store.behind import Behind
from fovideo.store.files import Files
from fovideo.store.folder import Folder
from fovideo.store.options import StoreOptions
from fovideo.store.segmentfile import SegmentFile
from fovideo.store.writer import StreamWriter, disk_error
from fovideo.timeline.values import Gop, Provenance
from fovideo.times import NS_PER_S

log = logging.getLogger(__name__)

_RESERVED_IDS = 4096
_SYNC_THREADS = 8
_LATENCIES = 3
_LATELY_NS = 10 * NS_PER_S


class Committer:
    """Owns the segment files that are being written. Its lock orders appends and commits of all threads."""

    def __init__(
        self,
        folder: Folder,
        files: Files,
        index: Index,
        options: StoreOptions,
        wall_clock: Callable[[], int],
    ) -> None:
        self.folder, self.files, self.index, self.options = folder, files, index, options
        self.lock = threading.RLock()
        self._wall_clock = wall_clock
        self._owners: dict[SegmentFile, StreamWriter] = {}
        self._writers: list[StreamWriter] = []
        self._unmoved: list[SegmentFile] = []
        self._latest: dict[str, tuple[str, int]] = {}  # by stream: last session, its last segment
        self._ids = threading.Lock()
        self._next_id = self._reserved_to = 0
        self._pool: ThreadPoolExecutor | None = None
        self._room = Room()
        self.behind = Behind()
        self._latencies: deque[tuple[int, int]] = deque(maxlen=_LATENCIES)
        self._committing_ns = 0

    def writer(self, stream: str, provenance: Provenance, *, pending: bool) -> StreamWriter:
        writer = StreamWriter(self, stream, provenance, pending=pending)
        with self.lock:
            session, before = self._latest.get(stream, ("", 0))
            if session == provenance.session:
                writer.previous = before
            self._writers.append(writer)
        return writer

    def ended(self, writer: StreamWriter) -> None:
        """A writer is closed; a later one of the same session goes on from its last segment."""
        self._latest[writer.stream] = (writer.provenance.session, writer.previous)

    def new_id(self) -> int:
        """A segment id that no file has or had: blocks of them are reserved durably before they are used."""
        with self._ids:  # not the lock of commits: insertions go on meanwhile
            if self._next_id >= self._reserved_to:
                self._next_id, self._reserved_to = self.index.update(_reserve)
            self._next_id += 1
            return self._next_id - 1

    def create(self, header: SegmentHeader, writer: StreamWriter, previous: int) -> SegmentFile:
        """A new segment file, in the folder of those that the index does not name yet. Raises OSError."""
        number = self.new_id()
        name = self.folder.segment_name(header.stream, header.start_ns, number)
        path = self.folder.incoming_path(number)
        file = SegmentFile(self.files, path, name, number, header, previous, self._room)
        self._owners[file] = writer
        return file

    def abandon(self, file: SegmentFile) -> None:
        """Remove a file that the index does not name."""
        self._owners.pop(file, None)
        file.close()
        try:
            self.files.remove(file.path)
        except OSError:
            log.warning("cannot remove %s; it will be removed at the next opening", file.path)

    def commit(self) -> None:
        """Make everything appended so far durable, then visible.

        Raises StoreFull or StoreError when some of it could not be; that is kept and goes with the next
        commit, the rest has been committed.
        """
        began_ns = self._committing_ns = time.monotonic_ns()
        try:
            with self.lock:
                failure = self._write_backlogs()
                failure = self._sync_all() or failure
                self._name_all()
                self._move()
                if failure is not None:
                    raise failure
        finally:
            now_ns, self._committing_ns = time.monotonic_ns(), 0
            self._latencies.append((now_ns, now_ns - began_ns))

    def latency_ns(self) -> int:
        """The longest of the last commits and the one that runs; 0 if there was none lately."""
        now_ns, began_ns = time.monotonic_ns(), self._committing_ns
        lately = [took_ns for at_ns, took_ns in list(self._latencies) if at_ns > now_ns - _LATELY_NS]
        return max([*lately, now_ns - began_ns if began_ns else 0])

    def _write_backlogs(self) -> StoreError | None:
        failure = None
        for writer in self._writers:
            try:
                writer.flush_backlog()
            except StoreError as error:
                failure = error
        return failure

    def _sync_all(self) -> StoreError | None:
        failure: StoreError | None = None
        for file, error in self._sync([file for file in self._owners if file.dirty]):
            log.error("%s could not be made durable (%s); writing it again elsewhere", file.path, error)
            writer = self._owners[file]
            try:
                writer.rewrite(file)
            except StoreError as again:
                failure = again
            if not file.safe_bytes:
                self.abandon(file)
        for file, error in self._sync([file for file in self._owners if file.dirty]):
            failure = disk_error(error, str(file.path))
            self._owners[file].keep(file)
            if not file.safe_bytes:
                self.abandon(file)
        if any(not file.named and file.safe_bytes for file in self._owners):
            try:
                self.files.sync_folder(self.folder.incoming)
            except OSError as error:
                raise disk_error(error, str(self.folder.incoming)) from error
        return failure

    def _sync(self, files: list[SegmentFile]) -> list[tuple[SegmentFile, OSError]]:
        """Make files durable, several at a time since the disk can; returns those that failed."""

        def work(part: list[SegmentFile]) -> list[tuple[SegmentFile, OSError]]:
            failed = []
            errors = self.files.sync_many([file.fd for file in part])
            for file, error in zip(part, errors, strict=True):
                if error is None:
                    file.synced()
                else:
                    failed.append((file, error))
            return failed

        if len(files) < 3:
            return work(files)
        # From one thread: eight that allocate blocks at once wait for each other and cost twice the CPU.
        for file in files:
            file.begin_sync()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_SYNC_THREADS, thread_name_prefix="fovideo-sync")
        parts = [files[number::_SYNC_THREADS] for number in range(min(_SYNC_THREADS, len(files)))]
        return [failure for found in self._pool.map(work, parts) for failure in found]

    def _name_all(self) -> None:
        batch = [(file, file.assembler.changes()) for file in self._owners if file.safe_bytes]
        batch = [(file, changes) for file, changes in batch if changes or file.sealed]
        writers = list(self._writers)
        losses = [(writer, len(writer.losses)) for writer in writers if writer.losses]
        closed = [writer for writer in writers if writer.closed and not writer.backlog]
        if not (batch or losses or closed):
            return
        edges: dict[StreamWriter, int] = {}
        now_ns = self._wall_clock()

        def apply(update: Update) -> None:
            edges.clear()
            for file, changes in batch:
                row = name_segment(
                    update,
                    file.header,
                    file.number,
                    file.name,
                    file.safe_bytes,
                    previous=file.previous,
                    sealed=file.sealed,
                )
                apply_changes(update, row, changes, file.assembler.last_epoch)
                edges[self._owners[file]] = max(edges.get(self._owners[file], 0), _edge(update, changes))
            for writer, count in losses:
                stream = update.ensure_stream(writer.stream)
                for loss in writer.losses[:count]:
                    update.put_loss(stream, loss)
            self._note_live(update, edges, closed, now_ns)

        self.index.update(apply)
        for file, changes in batch:
            file.acknowledge(len(changes))
            if not file.placed:
                self._unmoved.append(file)
            if file.sealed:
                file.close()
                del self._owners[file]
        for writer, count in losses:
            del writer.losses[:count]
        for writer, edge_ns in edges.items():
            writer.told(edge_ns)
        self._writers = [writer for writer in self._writers if writer not in closed]

    def _note_live(
        self, update: Update, edges: dict[StreamWriter, int], closed: list[StreamWriter], now_ns: int
    ) -> None:
        live = {writer.stream for writer in self._writers if not writer.closed}
        for writer, edge_ns in edges.items():
            stream = update.ensure_stream(writer.stream)
            if writer.stream in live and edge_ns:
                stream.live_edge_ns, stream.live_wall_ns = edge_ns, now_ns
        for writer in closed:
            known = update.find_stream(writer.stream)
            if known is not None and writer.stream not in live:
                known.live_edge_ns = known.live_wall_ns = 0

    def place(self, number: int, name: str) -> None:
        """Give a closed file its final place; failing that, recovery will."""
        target = self.folder.root / name
        try:
            self.files.make_folder(target.parent)
            self.files.rename(self.folder.incoming_path(number), target)
        except OSError as error:
            log.warning("cannot move segment %x to its place: %s", number, error)

    def _move(self) -> None:
        """Give named files their final place. Readers know both places; recovery does it if we don't."""
        left = []
        for file in dict.fromkeys(self._unmoved):
            if file.placed:
                continue
            target = self.folder.root / file.name
            if os.name == "nt" and not file.sealed:
                left.append(file)
                continue
            try:
                self.files.make_folder(target.parent)
                self.files.rename(file.path, target)
            except OSError as error:
                log.warning("cannot move %s to its place: %s", file.path, error)
                left.append(file)
            else:
                file.path, file.placed = target, True
        self._unmoved = left

    def close(self) -> None:
        """Close all writers and commit; then let go of the files, committed or not."""
        with self.lock:
            for writer in list(self._writers):
                writer.close()
            try:
                self.commit()
            finally:
                for file in list(self._owners):
                    file.close()
                self._owners.clear()
                self.behind.close()
                if self._pool is not None:
                    self._pool.shutdown()
                    self._pool = None


def _edge(update: Update, changes: list[Gop | Noted]) -> int:
    """End of the latest row among the changes, as the index has it now."""
    last = next((change for change in reversed(changes) if isinstance(change, Gop)), None)
    if last is not None and last is not changes[-1]:
        last = update.gop(last.serial)  # what was noted after it may have shifted it
    return 0 if last is None else last.end_ns


def _reserve(update: Update) -> tuple[int, int]:
    first = max(update.number("segments"), 1)
    update.set_number("segments", first + _RESERVED_IDS)
    return first, first + _RESERVED_IDS
