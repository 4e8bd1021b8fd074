from collections.abc import Iterable

AVAILABLE: bool
"""Whether this system has what is needed; elsewhere all fails."""

def fdatasync_all(fds: Iterable[int]) -> list[int]:
    """Make the data of each file durable, one after the other; for each 0, or its errno."""
