"""Orders to a site by hand: drain a server, let a spare stand in, hand back; and waiting until it is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import msgspec

from fovideo.errors import ConfigError, PeerError
from fovideo.peer import Control, Credentials, WatchedServer
from fovideo.service.overview import SUSPECT, WATCHING, Answer, ask_all
from fovideo.site import Place, Server, Site, Spare
from fovideo.times import NS_PER_S

Show = Callable[[Place], Credentials]
Tell = Callable[[str], None]

LOOK_EVERY_S = 0.25
_RECORDING = ("standing in", "merging")


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What an order came to. state: of the spare about the server, or of the server itself."""

    server: str
    spare: str = ""
    state: str
    lease: int = 0
    unmerged_frames: int = 0
    complete: bool = True

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


class Orders:
    """For one site. tell: hears how it goes, one line each time that something changes."""

    def __init__(
        self,
        site: Site,
        show: Show,
        *,
        tell: Tell = lambda line: None,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._site, self._show, self._tell, self._pause = site, show, tell, pause

    def failover(self, server: str, spare: str = "", *, wait_s: float = 60.0) -> Done:
        """Let a spare stand in for a server. spare: which; "" = one that answers and has nothing to do."""
        self._site.server(server)
        chosen = self._site.spare(spare) if spare else self._idle(server)
        with closing(self._control(chosen)) as control:
            control.failover(server)
        return self._wait(
            chosen, server, lambda watched: bool(watched.cameras) and watched.state in _RECORDING, wait_s
        )

    def failback(self, server: str, *, wait_s: float = 600.0) -> Done:
        """Let whoever stands in for a server hand it back."""
        self._site.server(server)
        answers, spares = self._answers(), self._site.spares
        holders = [
            spare
            for spare in spares
            if (watched := _about(server, answers[spare.name])) and watched.state not in (WATCHING, SUSPECT)
        ]
        if not holders:
            errors = {spare.name: answers[spare.name].error for spare in spares}
            silent = ", ".join(f"{name}: {error}" for name, error in errors.items() if error)
            what = "no spare stands in for it" + (f" that answers; {silent}" if silent else "")
            raise PeerError(what, where=server, hint="see fovideo status")
        for spare in holders:
            with closing(self._control(spare)) as control:
                control.failback(server)
        done = [
            self._wait(
                spare,
                server,
                lambda watched: watched.state == "watching" and not watched.unmerged_frames,
                wait_s,
            )
            for spare in holders
        ]
        return done[-1]

    def drain(self, server: str, on: bool = True, *, wait_s: float = 30.0) -> Done:
        """Announce a planned stop, or take it back; done when every spare that runs and watches it knows."""
        endpoint = self._site.server(server)
        with closing(self._control(endpoint)) as control:
            answer = control.drain(on)
        state = str(answer.get("state", ""))
        self._tell(f"{server}: {state}")
        if wait_s <= 0:
            return Done(server=server, state=state, complete=False)
        said = ""
        for _ in self._looks(wait_s):
            unaware = self._unaware(endpoint, drained=on)
            if not unaware:
                return Done(server=server, state=state)
            if unaware != said:
                self._tell(f"not yet known to {unaware}")
                said = unaware
        return Done(server=server, state=state, complete=False)

    def _unaware(self, server: Server, *, drained: bool) -> str:
        """The spares that may not know yet. One that does not run stands in for nobody: it need not know."""
        answers = self._answers()
        names = []
        for spare in self._site.spares:
            answer = answers[spare.name]
            if server not in self._site.watched_by(spare) or answer.refused:
                continue
            watched = _about(server.name, answer)
            if watched is None or watched.drained != drained:
                names.append(f"{spare.name} ({answer.error})" if answer.error else spare.name)
        return ", ".join(names)

    def _wait(self, spare: Spare, server: str, true: Callable[[WatchedServer], bool], wait_s: float) -> Done:
        said, watched = "", WatchedServer(state="unknown")
        for _ in self._looks(wait_s):
            found = self._watched(spare, server)
            if found is None:
                continue
            watched = found
            line = f"{spare.name}: {watched.state} {', '.join(watched.cameras)}".rstrip()
            line += f", {watched.unmerged_frames} frames to merge" if watched.unmerged_frames else ""
            line += f" ({watched.error})" if watched.error else ""
            if line != said:
                self._tell(line)
                said = line
            if true(watched):
                return _done(spare, server, watched, complete=True)
            if wait_s <= 0:
                break
        return _done(spare, server, watched, complete=False)

    def _looks(self, wait_s: float) -> Iterator[None]:
        """One look, and more until the time is over."""
        deadline = time.monotonic() + wait_s
        while True:
            yield
            if time.monotonic() >= deadline:
                return
            self._pause(LOOK_EVERY_S)

    def _watched(self, spare: Spare, server: str) -> WatchedServer | None:
        return _about(server, self._answers()[spare.name])

    def _idle(self, server: str) -> Spare:
        answers = self._answers()
        watching = [
            spare for spare in self._site.spares if self._site.server(server) in self._site.watched_by(spare)
        ]
        if not watching:
            raise ConfigError(f"no spare watches {server!r}", where=str(self._site.path))
        for spare in watching:
            health = answers[spare.name].health
            if health is not None and not any(found.cameras for found in health.servers.values()):
                return spare
        for spare in watching:
            if answers[spare.name].health is not None:
                return spare
        error = answers[watching[0].name].error
        raise PeerError(f"no spare answers: {error}", where=server, hint="see fovideo status")

    def _answers(self) -> dict[str, Answer]:
        return ask_all(self._site, self._show, timeout_ns=2 * NS_PER_S)

    def _control(self, endpoint: Place) -> Control:
        url = self._site.reached_at(endpoint)
        if not url:
            raise ConfigError("nothing tells where to reach it", where=endpoint.name, hint="add url")
        return Control(url, credentials=self._show(endpoint))


def _about(server: str, answer: Answer) -> WatchedServer | None:
    """What a spare says that it does about a server; None if it says nothing."""
    return None if answer.health is None else answer.health.servers.get(server)


def _done(spare: Spare, server: str, watched: WatchedServer, *, complete: bool) -> Done:
    return Done(
        server=server,
        spare=spare.name,
        state=watched.state,
        lease=watched.lease,
        unmerged_frames=watched.unmerged_frames,
        complete=complete,
    )
