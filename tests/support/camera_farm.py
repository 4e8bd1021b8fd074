"""Many looped cameras in one process: `python camera_farm.py HOST PORT CLIP COUNT`.

Says its URLs in one line of JSON, then obeys lines on stdin, and answers each with a line of JSON:
`freeze N`, `thaw N`, `sent N FROM_NS TO_NS` (a list of [running number, time in ns]).
"""

from __future__ import annotations

import json
import sys

from fovideo.replay import LoopSource, RtspServer


def main() -> None:
    host, port, clip, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    sources = [LoopSource(clip, marker=number) for number in range(count)]
    with RtspServer(host, port) as rtsp:
        urls = [rtsp.add_stream(f"/cam{number}", source) for number, source in enumerate(sources)]
        print(json.dumps(urls), flush=True)
        for line in sys.stdin:
            word, number, *rest = line.split()
            source, answer = sources[int(number)], None
            if word == "freeze":
                source.freeze()
            elif word == "thaw":
                source.thaw()
            else:
                first, last = map(int, rest)
                answer = [[frame.sequence, frame.time_ns] for frame in source.sent(first, last)]
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
