from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

import pytest

from .workers import Worker, worker

Start = Callable[..., AbstractContextManager[Worker]]


@pytest.fixture(params=["off", "require"], ids=["pure", "compiled"], scope="session")
def loop(request: pytest.FixtureRequest) -> str:
    """Each test of behaviour runs over both loops."""
    return str(request.param)


@pytest.fixture
def start(loop: str, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Start a worker that ends with the test."""
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(
            partial(worker, accelerator=loop)(tmp_path, *args, **options)
        )


@pytest.fixture(scope="module")
def plain(loop: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """One worker for all the tests of a module that only ask it something."""
    with worker(tmp_path_factory.mktemp("plain"), "plain.app", accelerator=loop) as running:
        yield running
