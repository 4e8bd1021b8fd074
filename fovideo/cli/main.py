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

COMMANDS = (
    "record",
    "timeline",
    "gaps",
    "merge",
    "merges",
    "replay",
    "check",
    "serve",
    "spare",
    "site",
    "status",
    "drill",
    "drain",
    "failover",
    "failback",
    "manage",
    "publish",
    "licence",
    "demo",
)

# A round of a recorder makes tens of objects a camera, which the next one frees: looking for cycles among
# them at each 700 costs the more a camera the more cameras there are.
_OBJECTS_PER_COLLECTION = 50_000

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

    def get_command(self, ctx: rich.Context, name: str) -> rich.Command | None:
        if name not in COMMANDS:
            return None
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
