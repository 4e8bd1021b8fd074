"""The reference page names every key with its default, and its example is a site."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from fovideo.site import (
    Arbitration,
    Camera,
    Client,
    Detection,
    Duration,
    Hook,
    Licence,
    Management,
    Restream,
    Server,
    Size,
    Spare,
    Tls,
    Webhook,
    load_site,
)
from fovideo.times import parse_bytes, parse_duration_ns

PAGE = (Path(__file__).parents[2] / "docs/ref/site.md").read_text(encoding="utf-8")


def documented(heading: str) -> dict[str, str]:
    """Defaults by key, of the table below a heading."""
    section = PAGE[PAGE.index(heading) :].split("\n## ")[0]
    found: dict[str, str] = {}
    for keys, default in re.findall(r"^\| (`[^|]+) \|([^|]*)\|", section, re.M):
        names = re.findall(r"`(\w+)`", keys)
        default = default.strip()
        values = default.split(", ") if default.count(", ") == len(names) - 1 else [default] * len(names)
        found |= {name: value.strip() for name, value in zip(names, values, strict=True)}
    return found


@pytest.mark.parametrize(
    ("heading", "tables"),
    [
        ("## [[server]] and [[spare]]", (Server, Spare)),
        ("## [[camera]]", (Camera,)),
        ("## [tls]", (Tls,)),
        ("## [[client]]", (Client,)),
        ("## [[management]]", (Management,)),
        ("## [restream]", (Restream,)),
        ("## [[hook]]", (Hook,)),
        ("## [licence]", (Licence,)),
        ("## [detection]", (Detection,)),
        ("## [arbitration]", (Arbitration,)),
        ("## [[webhook]]", (Webhook,)),
    ],
)
def test_every_key_is_there_with_its_default(heading: str, tables: tuple[type, ...]) -> None:
    page = documented(heading)
    fields = {info.encode_name: info for table in tables for info in msgspec.structs.fields(table)}
    assert set(page) == set(fields)
    for key, info in fields.items():
        page[key] = page[key].removeprefix("0 (none); ").removesuffix(" of a spare")
        if isinstance(info.default, Duration):
            assert (
                parse_duration_ns(page[key].split(" (")[0].replace(" min", "m").replace(" ", ""))
                == info.default
            )
        elif isinstance(info.default, Size):
            assert parse_bytes(page[key].split(" (")[0]) == info.default
        elif info.default is msgspec.NODEFAULT:
            assert page[key] == ""


def test_the_example_is_a_site(tmp_path: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", PAGE, re.S)
    assert example is not None
    (tmp_path / "site.toml").write_text(example[1])
    (tmp_path / "token").write_text("sesame")
    site = load_site(tmp_path / "site.toml")
    assert site.server("rec-1").secret_token() == "sesame"
    assert site.server("rec-1").detection.stalled_after_ns == 4 * 10**9
    assert site.cameras[1].preroll_ns == 20 * 10**9
