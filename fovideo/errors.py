"""The error tree: each error says what happened, where, and what to do about it.

Errors that Python has a kind for are that kind too, so that a host application can catch either.
A message never carries a secret: URLs are redacted before they reach an error.
"""

from __future__ import annotations


class FovideoError(Exception):
    """Base of all errors of fovideo.

    what: what happened, one clause.
    where: the file, camera, host or setting concerned ("" when there is none).
    hint: what the reader can do ("" when there is nothing).
    """

    exit_code = 3
    """Exit status of a command that ends with this error."""

    passing = False
    """Whether trying again after a while may help, without anybody doing something about it."""

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        self.what, self.where, self.hint = what, where, hint
        super().__init__(what)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text} ({self.hint})" if self.hint else text

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.where, self.hint))


def _rebuild(kind: type[FovideoError], what: str, where: str, hint: str) -> FovideoError:
    return kind(what, where=where, hint=hint)


class UsageError(FovideoError, ValueError):
    """An argument that cannot be used."""

    exit_code = 2


class ConfigError(FovideoError, ValueError):
    """A site.toml or setting that cannot be used."""

    exit_code = 2


class CameraError(FovideoError, ConnectionError):
    """A camera that does not deliver; the session will be tried again."""


class CameraUnreachable(CameraError):
    """No connection: unknown host, refused, timed out."""


class CameraUnauthorized(CameraError, PermissionError):
    """The camera refused the credentials."""


class CameraFrozen(CameraError, TimeoutError):
    """Connected, but silent for longer than the setting allows."""


class CameraBroken(CameraError):
    """The peer answers, but not with a stream that can be read."""


class FileCutShort(CameraBroken):
    """A file whose end is missing; what it holds was read, and it is not tried again."""


class UnsupportedStream(CameraError):
    """A readable stream without a track that fovideo records."""


class StoreError(FovideoError, OSError):
    """A store that cannot be used, or an operation on it that failed."""


class NotAStore(StoreError):
    """The path is not a fovideo store."""


class StoreBusy(StoreError, BlockingIOError):
    """Another process writes to the store."""


class StoreFull(StoreError):
    """The disk or quota has no room."""


class StoreDamaged(StoreError):
    """A file of the store says something that cannot be true."""


class SegmentDamaged(StoreDamaged):
    """A segment file that is cut or changed."""


class NoSuchStream(FovideoError, KeyError):
    """The store has no stream of that name."""


class NothingThere(FovideoError, LookupError):
    """No video in the stretch that was asked for."""

    exit_code = 1


class ConfigStale(ConfigError):
    """Another configuration came into force meanwhile."""


class LicenceError(FovideoError, ValueError):
    """A licence that cannot be read, or that the issuer did not sign as it is."""


class PeerError(FovideoError, ConnectionError):
    """Another fovideo process that does not answer as it should."""


class PeerUnauthorized(PeerError, PermissionError):
    """The peer refused who asks or what it asks for, or cannot show that it is who it should be."""


class ChangedOnTheWay(PeerError):
    """What arrived is not what was sent; it was sound where it came from."""

    passing = True

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        hint = hint or "if that goes on, look at the network, a proxy in it, and the memory of both machines"
        super().__init__(what, where=where, hint=hint)


class MergeError(FovideoError):
    """A merge that could not be finished; running it again continues it."""


class PlanStale(MergeError):
    """The target changed after the plan was made; plan again."""


class ManifestDamaged(FovideoError, ValueError):
    """A custody manifest that is not as it was written."""

    exit_code = 1
