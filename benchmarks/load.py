"""Load cameras: one process that plays a clip to hundreds of RTSP clients from prepared RTP packets.

    python -m benchmarks.load CLIP --port-file FILE [--sent FILE]

It is as cheap as sockets allow, so that it does not bound what is measured: the packets of a frame are
patched (sequence number, time) once for all cameras and sent with one call a camera. Cameras are spread over
the frame interval, so that they don't send at the same instant. A session begins at a keyframe. With --sent
the wall clock at which each frame left is written at the end (SIGTERM), so that a benchmark can tell lateness
of the recorder from that of its load.
"""

from __future__ import annotations

import argparse
import contextlib
import selectors
import signal
import socket
import struct
import time
from collections import deque
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fovideo.platform import run_before_others
from fovideo.replay.clip import load_clip
from fovideo.replay.rtp.payload import packetise
from fovideo.replay.rtsp.sdp import control, describe, payload_type

PHASES = 32
"""Instants within a frame interval at which cameras send."""

_SSRC = 0x0F00F00D
_CLOCK_HZ = 90_000
_NTP_EPOCH_S = 2_208_988_800
_REPORT_FRAMES = 125
_BACKLOG_BYTES = 8 << 20
"""A client that is behind by more than this has stalled: its session ends."""


class Frames:
    """The frames of a looped clip as blocks of interleaved RTP packets."""

    def __init__(self, clip: Path) -> None:
        loaded = load_clip(clip, audio=False)
        video = loaded.video
        if video is None:
            raise SystemExit(f"no video in {clip}")
        self.track = video.track
        self.interval_ns = round(1e9 / video.rate)
        self.ticks = round(_CLOCK_HZ / video.rate)
        self.keys = [sample.key for sample in video.samples]
        kind = payload_type(video.track)
        self._blocks: list[npt.NDArray[np.uint8]] = []
        self._heads: list[npt.NDArray[np.int64]] = []
        self._packets_before = [0]
        for sample in video.samples:
            block, heads = bytearray(), []
            for payload, _, marker in packetise(video.track, sample.parts):
                heads.append(len(block) + 4)
                block += struct.pack(">cBH", b"$", 0, 12 + len(payload))
                block += struct.pack(">BBHII", 0x80, kind | marker << 7, 0, 0, _SSRC) + payload
            self._blocks.append(np.frombuffer(bytes(block), np.uint8))
            self._heads.append(np.array(heads))
            self._packets_before.append(self._packets_before[-1] + len(heads))

    def block(self, number: int) -> bytes:
        """Frame `number` since the start, looped: all of its packets."""
        loop, place = divmod(number, len(self._blocks))
        block, heads = self._blocks[place].copy(), self._heads[place]
        first = loop * self._packets_before[-1] + self._packets_before[place]
        sequence = (first + np.arange(len(heads))) & 0xFFFF
        block[heads + 2], block[heads + 3] = sequence >> 8, sequence & 255
        for offset, byte in enumerate((number * self.ticks & 0xFFFFFFFF).to_bytes(4, "big")):
            block[heads + 4 + offset] = byte
        return block.tobytes()

    def is_key(self, number: int) -> bool:
        return self.keys[number % len(self.keys)]

    def report(self, number: int, wall_ns: int) -> bytes:
        """Sender report, interleaved: frame `number` was captured at wall_ns."""
        seconds, rest = divmod(wall_ns, 10**9)
        ntp = (seconds + _NTP_EPOCH_S) % 2**32 << 32 | (rest << 32) // 10**9
        body = struct.pack(
            ">BBHIQIII", 0x80, 200, 6, _SSRC, ntp, number * self.ticks & 0xFFFFFFFF, number & 0xFFFFFFFF, 0
        )
        return struct.pack(">cBH", b"$", 1, len(body)) + body


class Client:
    """A connection: RTSP until PLAY, then frames."""

    __slots__ = ("backlog", "camera", "inbox", "playing", "size", "sock", "waiting")

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self.inbox, self.backlog = sock, b"", deque[memoryview]()
        self.camera, self.waiting, self.playing, self.size = -1, False, False, 0


class Load:
    """The event loop: wakes for each phase of the frame interval."""

    def __init__(self, frames: Frames) -> None:
        self.frames = frames
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.listener.setblocking(False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.phases: list[list[Client]] = [[] for _ in range(PHASES)]
        self.stopping = False
        self.late_ns = 0
        self.lateness: dict[int, int] = {}  # by second of the wall clock: the latest that it was
        self.stalled = 0
        self.began_wall_ns = time.time_ns()
        self.sent: dict[int, list[tuple[int, int]]] = {}
        self._cached: tuple[int, bytes] = (-1, b"")

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def run(self) -> None:
        began = time.monotonic_ns()
        step_ns = self.frames.interval_ns // PHASES
        tick = 0
        while not self.stopping:
            due = began + tick * step_ns
            self._serve(max(due - time.monotonic_ns(), 0))
            now = time.monotonic_ns()
            if now < due:
                continue
            self.late_ns = max(self.late_ns, now - due)
            second = time.time_ns() // 10**9
            self.lateness[second] = max(self.lateness.get(second, 0), now - due)
            self._send(*divmod(tick, PHASES))
            tick += 1

    def _serve(self, wait_ns: int) -> None:
        for key, events in self.selector.select(wait_ns / 1e9):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    sock, _ = self.listener.accept()
                    sock.setblocking(False)
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self.selector.register(sock, selectors.EVENT_READ, Client(sock))
                continue
            client = key.data
            try:
                if events & selectors.EVENT_READ:
                    self._receive(client)
                if events & selectors.EVENT_WRITE:
                    self._drain(client)
            except OSError:
                self._drop(client)

    def _receive(self, client: Client) -> None:
        data = client.sock.recv(65536)
        if not data:
            raise ConnectionResetError
        client.inbox += data
        while client.inbox:
            if client.inbox[:1] == b"$":  # receiver reports
                if len(client.inbox) < 4:
                    return
                size = 4 + int.from_bytes(client.inbox[2:4], "big")
                if len(client.inbox) < size:
                    return
                client.inbox = client.inbox[size:]
                continue
            head, mark, rest = client.inbox.partition(b"\r\n\r\n")
            if not mark:
                return
            client.inbox = rest
            self._answer(client, head.decode("latin-1"))

    def _answer(self, client: Client, request: str) -> None:
        lines = request.split("\r\n")
        method, url = lines[0].split()[:2]
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        extra, body = "", ""
        if method == "DESCRIBE":
            extra = f"Content-Base: {url}/\r\nContent-Type: application/sdp\r\n"
            body = describe("load", "127.0.0.1", [self.frames.track], None, 1)
            assert control(self.frames.track) in body
        elif method == "SETUP":
            extra = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        elif method == "OPTIONS":
            extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n"
        answer = (
            f"RTSP/1.0 200 OK\r\nCSeq: {headers.get('cseq', '0')}\r\nSession: 1;timeout=3600\r\n{extra}"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )
        self._put(client, answer.encode())
        if method == "PLAY":
            client.camera = int(url.rstrip("/").rpartition("/")[2])
            client.waiting = True
            self.phases[client.camera % PHASES].append(client)
            self.sent.setdefault(client.camera, [])

    def _send(self, number: int, phase: int) -> None:
        clients = self.phases[phase]
        if not clients:
            return
        if self._cached[0] != number:
            self._cached = (number, self.frames.block(number))
        block, key = self._cached[1], self.frames.is_key(number)
        report = b""
        if number % _REPORT_FRAMES == 0 or any(client.waiting for client in clients):
            report = self.frames.report(number, self.began_wall_ns + number * self.frames.interval_ns)
        for client in list(clients):
            data = block
            if client.waiting:
                if not key:
                    continue
                client.waiting, client.playing = False, True
                data = report + block
            elif number % _REPORT_FRAMES == 0:
                data = report + block
            self.sent[client.camera].append((number, time.time_ns()))
            try:
                self._put(client, data)
            except OSError:
                self._drop(client)

    def _put(self, client: Client, data: bytes) -> None:
        if not client.backlog:
            try:
                done = client.sock.send(data)
            except BlockingIOError:
                done = 0
            if done == len(data):
                return
            self.selector.modify(client.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, client)
        else:
            done = 0
        client.backlog.append(memoryview(data)[done:])
        client.size += len(data) - done
        if client.size > _BACKLOG_BYTES:
            self.stalled += 1
            raise ConnectionResetError

    def _drain(self, client: Client) -> None:
        with contextlib.suppress(BlockingIOError):
            while client.backlog:
                done = client.sock.send(client.backlog[0])
                client.size -= done
                if done < len(client.backlog[0]):
                    client.backlog[0] = client.backlog[0][done:]
                else:
                    client.backlog.popleft()
        if not client.backlog:
            self.selector.modify(client.sock, selectors.EVENT_READ, client)

    def _drop(self, client: Client) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self.selector.unregister(client.sock)
        client.sock.close()
        if client.camera >= 0:
            with contextlib.suppress(ValueError):
                self.phases[client.camera % PHASES].remove(client)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("clip", type=Path)
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--sent", type=Path)
    options = parser.parse_args()
    load = Load(Frames(options.clip))

    def stop(*_: object) -> None:
        load.stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    run_before_others()  # cameras are other machines: what is measured must not hold them up
    temporary = options.port_file.with_suffix(".tmp")
    temporary.write_text(str(load.port))
    temporary.rename(options.port_file)
    load.run()
    if options.sent:
        rows = [(camera, number, at) for camera, sent in load.sent.items() for number, at in sent]
        table = np.array(rows, np.int64).reshape(-1, 3)
        np.savez(
            options.sent,
            sent=table,
            began_wall_ns=load.began_wall_ns,
            interval_ns=load.frames.interval_ns,
            late_ns=load.late_ns,
            lateness=np.array(list(load.lateness.items()), np.int64).reshape(-1, 2),
            stalled=load.stalled,
        )


if __name__ == "__main__":
    main()
