"""StandIn: on a spare, what manages the site while its management server does not."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from fovideo.failover import Deputy, Seen, deputise, entitled, wants_right
from fovideo.peer import ManagementStatus
from fovideo.peer.management import MANAGEMENT
from fovideo.service.events import Event, RoleReturned, RoleTaken
from fovideo.service.keeper import Keeper
from fovideo.service.office import Office, Sight
from fovideo.site import Detection, Site

_log = logging.getLogger(__name__)


class Acts(Protocol):
    """What manages: see Manager."""

    def act(self, lease: int, sure: Callable[[], bool]) -> None: ...
    def rest(self) -> None: ...


class StandIn:
    """For one thread: round() after each round of questions. emit: told of takeovers of the role."""

    def __init__(
        self,
        site: Site,
        spare: str,
        manager: Acts,
        office: Office,
        keeper: Keeper,
        emit: Callable[[Event], None],
        *,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        (self._management,) = site.managements
        self._manager, self._office, self._keeper, self._emit = manager, office, keeper, emit
        self._now_ns = monotonic_ns
        names = [each.name for each in site.spares]
        self._earlier = names[: names.index(spare)]
        now_ns = monotonic_ns()
        self.memory = Deputy(told_ns=now_ns, well_ns=now_ns, lease=keeper.lease)

    def round(self, answers: Mapping[str, ManagementStatus]) -> None:
        """Take in what the management server and the other spares say, by name; without the silent ones."""
        before, detection = self.memory, self._detection
        managed = self._management.name in answers
        sight = self._office.look() if before.acting or not managed else Sight()
        seen = Seen(
            self._now_ns(),
            manager=managed,
            earlier=any(name in answers for name in self._earlier),
            lease=max((each.lease for each in answers.values()), default=0),
            taken=sight.taken or any(_is_firm_deputy(each) for each in answers.values()),
            held=sight.held,
        )
        memory = deputise(
            before,
            seen,
            takeover_after_ns=detection.takeover_after_ns,
            handback_after_ns=detection.handback_after_ns,
        )
        if wants_right(memory, sight.service):
            number, firm = self._office.take(memory.lease)
            memory = entitled(memory, number, firm=firm)
        self.memory = memory
        self._carry_out(before, memory)

    def close(self) -> None:
        """Gives the role up, so that nobody has to wait for it."""
        self._office.close()

    @property
    def _detection(self) -> Detection:
        return self._management.detection

    def _carry_out(self, before: Deputy, now: Deputy) -> None:
        name = self._management.name
        if now.acting and now.right != before.right:
            self._keeper.note_lease(now.right)
            self._manager.act(now.right, lambda: self._office.held == now.right)
            _log.warning("%s: managing the site (lease %d)", name, now.right)
            self._emit(RoleTaken(MANAGEMENT, name, now.right))
        elif before.acting and not now.acting:
            self._office.drop()
            self._manager.rest()
            _log.warning("%s: somebody else manages the site (lease %d)", name, before.right)
            self._emit(RoleReturned(MANAGEMENT, name, before.right))


def _is_firm_deputy(status: ManagementStatus) -> bool:
    return status.role != MANAGEMENT and status.acting and status.firm
