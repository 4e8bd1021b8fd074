"""python -m benchmarks.mediamtx: builds MediaMTX from its Go module, as a peer for the benchmarks.

Needs Go and a module proxy, and takes ten minutes of CPU. What its own generation step would fetch from
elsewhere is left out: the player script of its HLS pages, which recording does not use.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_MODULE, _VERSION = "github.com/bluenviron/mediamtx", "v1.14.0"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mediamtx", description=__doc__)
    parser.add_argument("--into", type=Path, default=Path(sys.prefix) / "bin", help="folder of the program")
    program = parser.parse_args().into.absolute() / "mediamtx"
    with tempfile.TemporaryDirectory() as scratch:
        download = ["go", "mod", "download", "-json", f"{_MODULE}@{_VERSION}"]
        got = json.loads(subprocess.run(download, cwd=scratch, check=True, capture_output=True).stdout)
        source = Path(scratch) / "source"
        shutil.copytree(got["Dir"], source)
        for folder in (source, *filter(Path.is_dir, source.rglob("*"))):
            folder.chmod(0o755)  # modules are read-only
        (source / "internal/core/VERSION").write_text(_VERSION)
        (source / "internal/servers/hls/hls.min.js").write_text("")
        subprocess.run(
            ["go", "build", "-o", str(program), "."],
            cwd=source,
            check=True,
            env=os.environ | {"CGO_ENABLED": "0"},
        )


if __name__ == "__main__":
    main()
