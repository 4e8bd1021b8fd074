"""fovideo: failover recording for video surveillance."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("fovideo")
except PackageNotFoundError:  # imported from a source tree that was never installed
    __version__ = "0+source"
