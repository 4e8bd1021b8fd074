"""Stand-in until fovideo.media.nal is there."""

from __future__ import annotations

from typing import Any

import google_crc32c


def crc32c(data: Any, crc: int = 0) -> int:
    return int(google_crc32c.extend(crc, bytes(data)))
