"""One platform for most acceptance tests; tests that break it start their own."""

import sys
from collections.abc import Callable, Iterator

import pytest

from acceptance.running import Platform, running_platform

sys.dont_write_bytecode = False


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """Give a running platform that every test shares: leave it as you found it."""
    with running_platform() as started:
        yield started


@pytest.fixture
def make_site(platform: Platform) -> Iterator[Callable[..., str]]:
    """Give a function that makes a site with a Python and files, deleted again after the test."""
    made: list[str] = []

    def make(
        name: str, files: dict[str, str | bytes] | None = None, *, runtime: str = "python3117x64"
    ) -> str:
        platform.homeport("site", "create", name)
        made.append(name)
        if runtime:
            platform.homeport("extension", "add", name, runtime)
        if files:
            platform.write(name, files)
        return name

    yield make
    for name in made:
        platform.homeport("site", "delete", name, "--yes", check=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here: it starts the whole platform."""
    for item in items:
        if "acceptance" in item.path.parts:
            item.add_marker(pytest.mark.platform)
