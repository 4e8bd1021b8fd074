"""Office: the management server's role as a spare holds it, in the lease service if the site has one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from fovideo.errors import FovideoError
from fovideo.lease import Leases, LocalLeases
from fovideo.service.leasing import Availability

ROLE = "role/management"
_KEEP_SHARE = 4


class Sight(NamedTuple):
    """service: it answers. taken: another spare has the role. held: this one's number there, 0 = none."""

    service: bool = False
    taken: bool = False
    held: int = 0


class Office:
    """For one thread. A claim counts until ttl_ns after this spare last began to ask to keep it, by its own
    clock: so never longer than in the service, and never are two spares sure of the role at once.

    leases: None = the site has no service. own: gives numbers while there is none. availability: of the
    service, as all of this process know it.
    """

    def __init__(
        self,
        leases: Leases | None,
        own: LocalLeases,
        holder: str,
        *,
        ttl_ns: int,
        availability: Availability | None = None,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._leases, self._own, self._holder, self._ttl_ns = leases, own, holder, ttl_ns
        self._now_ns = monotonic_ns
        self._availability = availability or Availability()
        self._number, self._kept_ns = 0, 0

    @property
    def held(self) -> int:
        """The number under which the service says that this spare has the role; 0 = it has not."""
        return self._number if self._now_ns() - self._kept_ns < self._ttl_ns else 0

    def look(self) -> Sight:
        """How things stand. Takes a bounded time, see Leases."""
        began_ns = self._now_ns()
        if self._leases is None or not self._availability.may_ask(began_ns):
            return Sight(held=self.held)
        try:
            if self._number and began_ns - self._kept_ns >= self._ttl_ns // _KEEP_SHARE:
                if self._leases.keep():
                    self._kept_ns = began_ns
                else:
                    self._number = 0
            claims = [claim for claim in self._leases.look() if claim.role == ROLE]
        except FovideoError as error:
            self._failed(error)
            return Sight(held=self.held)
        self._availability.answered()
        if self._number not in {claim.number for claim in claims if claim.holder == self._holder}:
            self._number = 0
        return Sight(True, any(claim.holder != self._holder for claim in claims), self.held)

    def take(self, above: int) -> tuple[int, bool]:
        """A number for this spare, and whether the service says so. 0: another one was quicker."""
        began_ns = self._now_ns()
        if self._leases is not None and self._availability.may_ask(began_ns):
            try:
                self._leases.keep()  # a session of an earlier claim may be about to end
                claim = self._leases.take(ROLE, above=above)
            except FovideoError as error:
                self._failed(error)
            else:
                if claim is None:
                    return 0, True
                self._number, self._kept_ns = claim.number, began_ns
                return claim.number, True
        own = self._own.take(ROLE, above=above)
        assert own is not None
        return own.number, False

    def drop(self) -> None:
        """Leave the role to others, at once if the service answers."""
        number, self._number = self._number, 0
        if number and self._leases is not None:
            try:
                self._leases.drop(ROLE)
            except FovideoError as error:
                self._failed(error)

    def close(self) -> None:
        self._number = 0
        if self._leases is not None:
            self._leases.close()

    def _failed(self, error: FovideoError) -> None:
        self._availability.failed(error, self._now_ns())
