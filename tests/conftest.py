"""Settings of all tests: hypothesis profiles, peers that must not be absent, descriptors that must stay."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import fovideo

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "expensive", deadline=None, max_examples=2000, suppress_health_check=list(HealthCheck)
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(autouse=True)
def standard_descriptors() -> Iterator[None]:
    """A test that closes one of these lets the next file take its number: programs started later share it."""
    before = [os.fstat(number) for number in range(3)]
    yield
    for number, was in enumerate(before):
        assert os.path.samestat(os.fstat(number), was), f"descriptor {number} is another file now"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-peers",
        action="store_true",
        help="fail instead of skipping when a peer program (ffmpeg, GStreamer, ...) is absent; CI sets it",
    )
    parser.addoption(
        "--from-wheel",
        action="store_true",
        help="refuse to test the package in this folder instead of the one that is installed",
    )


def pytest_configure(config: pytest.Config) -> None:
    tested = Path(fovideo.__file__).parent
    if config.getoption("--from-wheel") and tested.parent == config.rootpath:
        raise pytest.UsageError(f"the package under test is {tested}, not an installed one")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for real processes may wait long on a machine that is busy: each wait has its own limit."""
    for item in items:
        if item.get_closest_marker("e2e") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(300))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.skipped and item.config.getoption("--require-peers") and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if "no privilege" in reason:  # nothing that could be installed
            return
        if "../shared" in reason:  # footage that is no part of the project may be absent anywhere
            return
        report.outcome = "failed"
        report.longrepr = f"skipped although peers are required here: {reason}"
