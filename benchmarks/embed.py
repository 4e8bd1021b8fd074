"""A host application with an embedded recorder, and with --busy a Python thread that computes all the time.

python -m benchmarks.embed STORE PORT CAMERAS SECONDS [--busy]
"""

from __future__ import annotations

import sys
import threading
import time

from fovideo.camera import CameraConfig
from fovideo.record import Recorder
from fovideo.store import Store


def main() -> None:
    path, port, count, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    stopping = threading.Event()

    def compute() -> None:
        total = 0
        while not stopping.is_set():
            total += sum(range(1000))

    store = Store.open(path, write=True, create=True)
    with Recorder(store, name="embedded") as recorder:
        for number in range(count):
            recorder.add(CameraConfig(name=f"c{number}", url=f"rtsp://127.0.0.1:{port}/{number}"))
        busy = threading.Thread(target=compute, daemon=True)
        if "--busy" in sys.argv:
            busy.start()
        time.sleep(seconds)
        stopping.set()
        recorder.flush()
        lost = sum(status.lost_frames + status.dropped_frames for status in recorder.status().values())
    store.close()
    sys.stdout.write(f"{lost}\n")


if __name__ == "__main__":
    main()
