"""`fovideo licence`: for the issuer (key, make) and for whoever has one (check)."""

from __future__ import annotations

import os
import time
from pathlib import Path

import rich_click as click

from fovideo.cli import params
from fovideo.cli.output import errors, out, print_json
from fovideo.errors import UsageError

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group("licence")
def command() -> None:
    """Licences for failover: make keys and licences, check those of a site."""


@command.command("key")
@click.argument("key_file", metavar="KEY.pem", type=_FILE)
def key(key_file: Path) -> int:
    """Make the issuer's private key, and print the public one for site.toml. An existing key is only read."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    from fovideo.custody.keys import load_signing_key

    if not key_file.exists():
        made = Ed25519PrivateKey.generate()
        pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            fd = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise UsageError(f"cannot write the key: {error.strerror}", where=str(key_file)) from None
        with os.fdopen(fd, "wb") as file:
            file.write(pem)
    public = load_signing_key(key_file).public_key()
    out.print(public.public_bytes_raw().hex(), highlight=False, soft_wrap=True)
    return 0


@command.command("make")
@click.argument("key_file", metavar="KEY.pem", type=_FILE)
@click.option("--site", required=True, help="Name of the site, as in its site.toml.")
@click.option("--holder", required=True, help="Who it is for.")
@click.option("--number", required=True, help="Number of the licence.")
@click.option("--edition", type=click.Choice(["professional", "premium"]), required=True)
@click.option("--failover-base", is_flag=True, help="With a failover base licence (premium includes it).")
@click.option("--cameras", type=click.IntRange(0), default=0, help="Camera failover licences: one a camera.")
@click.option("--expires", type=params.TIME, help="RFC 3339; without it never.")
@click.option("-o", "output", required=True, metavar="FILE", type=_FILE, help="Where to write it.")
def make(
    key_file: Path,
    site: str,
    holder: str,
    number: str,
    edition: str,
    failover_base: bool,
    cameras: int,
    expires: int | None,
    output: Path,
) -> int:
    """Make a licence, signed with the issuer's private KEY.pem."""
    from fovideo.custody.keys import load_signing_key
    from fovideo.licence import Terms, make_licence
    from fovideo.times import format_ns

    terms = Terms(
        number=number,
        holder=holder,
        site=site,
        edition="premium" if edition == "premium" else "professional",
        failover_base=failover_base,
        camera_failover=cameras,
        expires="" if expires is None else format_ns(expires),
    )
    data = make_licence(terms, load_signing_key(key_file))
    try:
        output.write_bytes(data)
    except OSError as error:
        raise UsageError(f"cannot write the licence: {error.strerror}", where=str(output)) from None
    errors.print(f"{output}: {edition}, {cameras} cameras, site {site}", highlight=False, markup=False)
    return 0


@command.command("check")
@click.argument("site_file", metavar="SITE.toml", type=_FILE)
@params.as_json
def check(site_file: Path, as_json: bool) -> int:
    """Say which servers of a site may be failed over. Exit code 1 if not all, or if something is wrong."""
    from fovideo.licence import coverage_of
    from fovideo.site import load_site

    site = load_site(site_file)
    coverage = coverage_of(site, time.time_ns())
    verdict = coverage.verdict
    missing = [server.name for server in site.servers if not coverage.covers(server.name)]
    if as_json:
        print_json(
            {
                "covered": list(verdict.covered),
                "not_covered": missing,
                "problems": list(verdict.problems),
                "cameras": verdict.needed,
                "licensed": verdict.licensed,
                "expires": coverage.terms.expires if coverage.terms else "",
            }
        )
    else:
        kind = "no licence: everything is allowed"
        if coverage.terms is not None:
            terms = coverage.terms
            until = f"until {terms.expires}" if terms.expires else "for ever"
            kind = f"licence {terms.number} of {terms.holder}: {terms.edition}, "
            kind += f"{verdict.licensed} cameras, {until}"
        out.print(kind, highlight=False, markup=False)
        for name in verdict.covered:
            out.print(f"{name}: may be failed over", highlight=False, markup=False)
        for line in verdict.problems:
            errors.print(line, style="red", highlight=False, markup=False)
    return 1 if missing or verdict.problems else 0
