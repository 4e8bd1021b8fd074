"""The `fovideo` command: its group, and how errors and signals end it."""

from __future__ import annotations

import errno
import gc
import sys
from typing import NoReturn

import click
import click.exceptions
import rich_click as rich

from fovideo import __version__
from fovideo.cli.logs import log_to_stderr
from fovideo.cli.output import errors, give_up, out
from fovideo.errors import FovideoError
from fovideo.platform import allow_bursts, allow_descriptors, hold_standard_descriptors, keep_memory_small

COMMANDS = {  # with the first paragraph of their help
    "record": "Record cameras (RTSP addresses or video files) into STORE until stopped.",
    "timeline": "Show what STORE holds: frames, spans by who recorded them, gaps.",
    "gaps": "List the stretches without frames, each with its reason where it is known.",
    "merge": "Insert into TARGET every frame that SOURCE has and TARGET lacks, each exactly once.",
    "merges": "Show the merges that run, and when they will be done; or pause, resume or end one.",
    "replay": "Play a stretch of stream NAME of STORE, or a video file (then without NAME), "
    "without re-encoding.",
    "check": "Read every byte of STORE: checksums, digests, index against files.",
    "serve": "Run a recording server: record its cameras, keep the timeline, answer over HTTP until stopped.",
    "spare": "Run a hot spare: watch every server, hold each camera's last seconds, stand in for one "
    "that is down.",
    "site": "Look at a site as SITE.toml describes it.",
    "status": "Show who stands in for whom, every machine and camera, lag, loss, and what is to be merged.",
    "drill": "Let a spare take over on purpose, hand back, and measure detection time and loss.",
    "drain": "Announce that a server will be stopped on purpose: no spare stands in when it falls silent.",
    "failover": "Let a spare stand in for a server, whatever its state, until `fovideo failback`.",
    "failback": "Let the spare that stands in for a server hand it back as soon as the server records.",
    "manage": "Run the management server: hold SITE.toml for all, tell clients where every camera "
    "is served now.",
    "publish": "Put SITE.toml into force on the whole site, through whoever manages it now.",
    "licence": "Licences for failover: make keys and licences, check those of a site.",
    "demo": "Show the whole path on real H.264 over real RTSP, each part its own process.",
}

# A round of a recorder makes tens of objects a camera, which the next one frees: looking for cycles among
# them at each 700 costs the more a camera the more cameras there are.
_OBJECTS_PER_COLLECTION = 50_000

_LISTED = "fovideo.listed"

_NO_READER = 128 + 13  # as the shell says of a program that SIGPIPE has ended


class _NobodyReadsError(Exception):
    """The pipe behind stdout was closed. No OSError, of which click makes an exit code of its own."""


class _Commands(rich.RichGroup):
    """Imports a command's module when it is called, so that none waits for what the others need."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            status: object = super().invoke(ctx)
            out.file.flush()
        except BrokenPipeError:
            raise _NobodyReadsError from None
        return status

    def list_commands(self, ctx: rich.Context) -> list[str]:
        return list(COMMANDS)

    def format_help(self, ctx: rich.RichContext, formatter: rich.RichHelpFormatter) -> None:  # type: ignore[override]
        ctx.meta[_LISTED] = True
        super().format_help(ctx, formatter)

    def get_command(self, ctx: rich.Context, name: str) -> rich.Command | None:
        if name not in COMMANDS:
            return None
        if _LISTED in ctx.meta:
            return rich.RichCommand(name=name, help=COMMANDS[name])
        module = __import__(f"fovideo.cli.{name}", fromlist=["command"])
        command: rich.Command = module.command
        return command


@rich.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@rich.version_option(__version__, prog_name="fovideo")
@rich.option("-v", "--verbose", count=True, help="Log more to stderr; twice for debugging.")
@rich.pass_context
def fovideo(context: rich.Context, verbose: int) -> None:
    """Failover recording for video surveillance: every frame of the site, each exactly once.

    STORE, SOURCE and TARGET are the path of a store or the URL of a running server
    (its token in the environment variable FOVIDEO_TOKEN). Where nothing is written, A+B is both together:
    what a merge of B into A would give.
    """
    keep_memory_small()
    gc.set_threshold(_OBJECTS_PER_COLLECTION)
    allow_bursts()
    allow_descriptors()
    log_to_stderr(verbose, context.invoked_subcommand)


def main() -> None:
    """Exit codes: 0 done, 1 done but something is missing, 2 usage, 3 failed, 130 interrupted, 141 nobody
    reads the output any more.
    """
    hold_standard_descriptors()
    try:
        status = fovideo.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.ClickException as error:
        _fail(_usage(error), error.exit_code)
    except FovideoError as error:
        _fail(str(error), error.exit_code)
    except _NobodyReadsError:
        give_up(sys.stdout)
        sys.exit(_NO_READER)
    except OSError as error:
        _fail(_os_error(error), FovideoError.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(text: str, status: int) -> NoReturn:
    """The one line that a command ends with when it fails."""
    line = f"fovideo: {' '.join(text.split())}"
    errors.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(status)


def _usage(error: click.exceptions.ClickException) -> str:
    context = getattr(error, "ctx", None)
    hint = f" (see {context.command_path} --help)" if context else ""
    return error.format_message().rstrip(".") + hint


def _os_error(error: OSError) -> str:
    what = (error.strerror or str(error) or type(error).__name__).lower()
    hint = " (free some space and run it again)" if error.errno == errno.ENOSPC else ""
    return f"{error.filename}: {what}{hint}" if error.filename else f"{what}{hint}"
