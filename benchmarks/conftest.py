"""Sizes: tiny unless --large is given, so that a smoke run takes seconds. Nothing here asserts a time."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--large", action="store_true", help="sizes of the targets: 1 M GOPs, 10 M frames")


@pytest.fixture(scope="session")
def large(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--large"))
