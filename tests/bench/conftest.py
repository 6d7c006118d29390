"""The bench is a folder beside `src`, not an installed package: make it importable."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.samples import BASELINE, Load, LoadSample


@pytest.fixture
def make_sample() -> Callable[..., LoadSample]:
    """Give a function that makes a good sample of uWSGI under the smallest load, but for what is named."""

    def make(**changes: Any) -> LoadSample:
        fields: dict[str, Any] = {
            "stack": BASELINE.value,
            "load": Load.HELLO.value,
            "concurrency": 32,
            "round": 0,
            "requests": 10_000,
            "seconds": 1.0,
            "failures": 0,
            "socket_errors": 0,
            "front_cpu": 15.0,
            "site_cpu": 10.0,
            "platform_cpu": 0.0,
            "p50": 900.0,
            "p99": 5000.0,
            "foreign": 0.01,
        }
        return LoadSample(**{**fields, **changes})

    return make
