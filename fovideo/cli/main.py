"""The `fovideo` command: its group, and how errors and signals end it."""

from __future__ import annotations

import logging
import sys

import click.exceptions
import rich_click as rich
from rich.logging import RichHandler

from fovideo import __version__
from fovideo.cli.output import errors
from fovideo.errors import FovideoError
from fovideo.platform import keep_memory_small

COMMANDS = (
    "record",
    "timeline",
    "gaps",
    "merge",
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
    "demo",
)


class _Commands(rich.RichGroup):
    """Imports a command's module when it is called, so that `fovideo --help` is quick."""

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
def fovideo(verbose: int) -> None:
    """Failover recording for video surveillance: every frame of the site, each exactly once.

    STORE, SOURCE and TARGET are the path of a store or the URL of a running server
    (its token in the environment variable FOVIDEO_TOKEN). Where nothing is written, A+B is both together:
    what a merge of B into A would give.
    """
    keep_memory_small()
    level = [logging.WARNING, logging.INFO, logging.DEBUG][min(verbose, 2)]
    logging.basicConfig(
        level=level, format="%(name)s: %(message)s", handlers=[RichHandler(console=errors, show_path=False)]
    )
    for chatty in ("httpx", "httpcore", "libav"):
        logging.getLogger(chatty).setLevel(max(level, logging.WARNING))


def main() -> None:
    """Exit codes: 0 done, 1 done but something is missing, 2 usage, 3 failed, 130 interrupted."""
    try:
        status = fovideo.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.exceptions.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except FovideoError as error:
        errors.print(f"fovideo: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(status if isinstance(status, int) else 0)
