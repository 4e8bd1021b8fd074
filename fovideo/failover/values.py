"""What the failover machine knows, hears and orders. Pure data.

All times are ns of one monotonic clock, handed in with each event, except the durable edges that a server
tells of its cameras: those are times of its timelines, and are only ever compared with each other.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import msgspec

from fovideo.times import NS_PER_MS, NS_PER_S


class State(StrEnum):
    """What a spare does about a camera, or (the furthest of its cameras) about a server."""

    WATCHING = "watching"
    SUSPECT = "suspect"  # of a server only: it missed a poll, but not for long enough
    STANDING_IN = "standing in"
    MERGING = "merging"  # still recording, while what is buffered goes back
    SEALING = "sealing"  # the server records again and the spare has stopped: the last pass

    @property
    def records(self) -> bool:
        """Whether the spare records in this state."""
        return self in (State.STANDING_IN, State.MERGING)


class Word(StrEnum):
    """What a server says of itself."""

    RECORDING = "recording"
    STOPPING = "stopping"  # it is going down: stand in at once
    DRAINED = "drained"  # stopped on purpose, nobody shall stand in


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How patient the machine is, in ns. docs/design/failover.md explains each.

    stalled_after_ns, late_after_ns and quiet_after_ns concern one camera, the others the whole server.
    arbitrated: which spare stands in is settled with others: see Claim and Ruled. claim_within_ns: after so
        long without a ruling a spare decides for itself.
    slot, step: its own numbers are slot modulo step, so no two spares give the same.
    """

    refused_after_ns: int = NS_PER_S
    takeover_after_ns: int = 1500 * NS_PER_MS
    slack_ns: int = 400 * NS_PER_MS
    reboot_grace_ns: int = 0
    stalled_after_ns: int = 5 * NS_PER_S
    late_after_ns: int = 8 * NS_PER_S
    handback_after_ns: int = 3 * NS_PER_S
    merge_every_ns: int = NS_PER_S
    quiet_after_ns: int = 30 * NS_PER_S
    claim_within_ns: int = 2 * NS_PER_S
    arbitrated: bool = False
    slot: int = 0
    step: int = 1


class CameraSeen(msgspec.Struct, frozen=True):
    """What a server tells of one camera.

    durable_to_ns: end of what it has on disk from its own recording since it started; 0 = nothing yet.
    interruptions: rises whenever frames of this camera may have been lost at the server: at each session that
        begins, and when frames are dropped.
    holding: the server has frames of it in memory that are not on disk yet.
    settled: its times and those of the spare are by the camera's clock; before, the edge may be in another
        clock, and frames of both would be compared by guesses.
    late_ns: for how long the oldest frame that the server holds in memory has been there.
    """

    durable_to_ns: int = 0
    interruptions: int = 0
    holding: bool = False
    settled: bool = True
    late_ns: int = 0


class Answered(msgspec.Struct, frozen=True):
    """A poll was answered. instance: new for each start of the server.

    took_ns: how long the answer took. storage_fails: its store takes nothing at present.
    """

    now_ns: int
    instance: str
    cameras: dict[str, CameraSeen]
    word: Word = Word.RECORDING
    took_ns: int = 0
    storage_fails: bool = False


class NoAnswer(msgspec.Struct, frozen=True):
    """A poll failed. refused: something at that address said that nobody listens there."""

    now_ns: int
    refused: bool = False


class Heard(msgspec.Struct, frozen=True):
    """The cameras that deliver frames to this spare at this time; the others of the server do not."""

    now_ns: int
    cameras: frozenset[str]


class PassOutcome(msgspec.Struct, frozen=True):
    """What a merge pass did to one stream.

    inserted: frames that the server lacked.
    left: frames that the spare holds and the server has not yet confirmed.
    deferred: those of them that lay beyond the bounds of the pass, so that a later one may bring them back.
    """

    inserted: int = 0
    left: int = 0
    deferred: int = 0


class MergeEnded(msgspec.Struct, frozen=True):
    """The pass of that number is over. error: why streams are missing in outcomes ("" = none are)."""

    now_ns: int
    number: int
    outcomes: dict[str, PassOutcome]
    error: str = ""


class Witnessed(msgspec.Struct, frozen=True):
    """When anything else that tells whether this spare is cut off was last reached; -1 = never."""

    now_ns: int
    reached_ns: int


class Ruled(msgspec.Struct, frozen=True):
    """How things stand among the spares. claim: the number of the Claim that this answers.

    mine: cameras that this spare may stand in for, under `number` (0 when there are none).
    others: cameras that another spare has. healed: cameras that another has just handed back.
    """

    now_ns: int
    claim: int
    number: int
    mine: frozenset[str]
    others: frozenset[str]
    healed: frozenset[str] = frozenset()


class Ordered(msgspec.Struct, frozen=True):
    """Somebody orders the spare to stand in for the server (until further notice), or to hand back.

    stand_in: False = hand back as soon as the server is seen to record, without waiting for handback_after.
    """

    now_ns: int
    stand_in: bool


class Tick(msgspec.Struct, frozen=True):
    """Time passes."""

    now_ns: int


Event: TypeAlias = Answered | NoAnswer | Heard | MergeEnded | Witnessed | Ruled | Ordered | Tick


class TakeOver(msgspec.Struct, frozen=True):
    """Record these cameras, beginning with what the rings hold. Harmless for those recorded already.

    lease: the fencing number; 0 = without a claim: this spare may be the one that is cut off.
    """

    cameras: tuple[str, ...]
    lease: int


class StandDown(msgspec.Struct, frozen=True):
    """Stop recording these cameras and make durable what was recorded; rings go on holding the pre-roll."""

    cameras: tuple[str, ...]


class Portion(msgspec.Struct, frozen=True):
    """What of a stream to merge. The bounds keep clear of frames that the server has, but not yet on disk.

    until_ns: no frames after this time of the server's timeline; None = no bound.
    lag_ns: no frames of the last lag_ns that the spare holds.
    """

    stream: str
    until_ns: int | None = None
    lag_ns: int = 0


class StartMerge(msgspec.Struct, frozen=True):
    """Merge these portions into the server, then tell MergeEnded with this number. One pass at a time."""

    number: int
    portions: tuple[Portion, ...]
    lease: int


class Claim(msgspec.Struct, frozen=True):
    """Settle with the other spares who stands in for these cameras; answered by Ruled events from then on.

    cameras: all that this spare wants or records; () = it gives up whatever it holds.
    """

    number: int
    cameras: tuple[str, ...]


class HandBack(msgspec.Struct, frozen=True):
    """These cameras are the server's again.

    incomplete: those of them for which several passes could not bring everything back; it is kept.
    over: no camera of the server is left with the spare.
    """

    cameras: tuple[str, ...]
    incomplete: tuple[str, ...]
    lease: int
    over: bool


Action: TypeAlias = TakeOver | StandDown | StartMerge | HandBack | Claim


class Duty(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about one camera of the server. -1 = not.

    since_ns: when the state was entered.
    edge_ns: the server's durable edge as told last; moved_ns: when it was first told, or moved.
    live_ns: since when the edge has been moving without interruption.
    unsettled_ns: since when the server's times of the camera have not been settled.
    heard_ns: since when this spare has been hearing the camera; unheard_ns: since when not; met: it ever did.
    passed_ns: start of the last pass that brought an outcome; left: its frames without confirmation.
    stuck: passes in a row that changed nothing although something is left.
    wanted_ns: when the server last lost frames of it and this spare did not stand in.
    late: answers in a row that told of frames which reach the disk too late.
    """

    since_ns: int
    unheard_ns: int
    state: State = State.WATCHING
    edge_ns: int = -1
    moved_ns: int = -1
    live_ns: int = -1
    unsettled_ns: int = -1
    interruptions: int = 0
    holding: bool = False
    heard_ns: int = -1
    met: bool = False
    passed_ns: int = -1
    left: int = 0
    stuck: int = 0
    wanted_ns: int = -1
    late: int = 0


class Pass(msgspec.Struct, frozen=True):
    """A merge pass that runs."""

    number: int
    started_ns: int


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the machine knows about one server.

    lease: the highest number known. right: that under which this spare stands in, 0 = none.
    asked, asked_ns, claims: the cameras of the last Claim, when it last grew, and its number.
    mine, others, granted, ruled_ns: the last ruling.
    ordered: somebody ordered it to stand in, and has not ordered it back; hurried: it was ordered back.
    word, word_ns: what the server last said of itself, and since when.
    instance: the server's instance that answered last, first heard of at instance_ns.
    told_ns: the last answer; misses, refusals: polls without an answer since then, refused ones in a row;
        missed_ns: when the first of them failed.
    delay_ns, swing_ns: how long answers take, and how much that varies. ailing: answers in a row with a store
        that takes nothing.
    witnessed: there are witnesses; reached_ns: when one was last reached.
    """

    server: str
    duties: dict[str, Duty]
    told_ns: int
    lease: int = 0
    right: int = 0
    asked: frozenset[str] = frozenset()
    asked_ns: int = 0
    claims: int = 0
    mine: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    granted: int = 0
    ruled_ns: int = -1
    word: Word = Word.RECORDING
    word_ns: int = 0
    ordered: bool = False
    hurried: bool = False
    instance: str = ""
    instance_ns: int = -1
    misses: int = 0
    refusals: int = 0
    missed_ns: int = 0
    delay_ns: int = 0
    swing_ns: int = 0
    ailing: int = 0
    witnessed: bool = False
    reached_ns: int = 0
    running: Pass | None = None
    passes: int = 0
    failures: int = 0
    next_pass_ns: int = 0

    @property
    def standing(self) -> tuple[str, ...]:
        """The cameras that are not the server's alone at present."""
        return tuple(name for name, duty in self.duties.items() if duty.state != State.WATCHING)

    @property
    def state(self) -> State:
        """The furthest state of its cameras from WATCHING: one that records outweighs one that is sealed."""
        states = {duty.state for duty in self.duties.values()}
        for state in (State.STANDING_IN, State.MERGING, State.SEALING):
            if state in states:
                return state
        return State.SUSPECT if self.misses else State.WATCHING


class Standing(msgspec.Struct, frozen=True):
    """What must survive a restart of the spare: written before the actions of a step are carried out.

    ordered: it stands in because somebody said so. drained: the server's last word.
    right: the number under which it stands in; 0 = none, -1 = lease.
    """

    server: str
    lease: int
    cameras: tuple[str, ...]
    ordered: bool = False
    drained: bool = False
    right: int = -1
