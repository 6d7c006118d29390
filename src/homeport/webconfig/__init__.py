"""web.config: parse, inherit, and compile to a HostingPlan with findings.

Pure: no I/O, clock, environment, logging or async. May import: `windows`, `model`.
Tests: `tests/webconfig`.
"""

from homeport.webconfig.compiler import compile_plan
from homeport.webconfig.plan import (
    ConfigurationTree,
    ContentFolder,
    FastCgiPool,
    HostingPlan,
    HostTransform,
    HttpPool,
    PoolKind,
    SiteFacts,
)

__all__ = [
    "ConfigurationTree",
    "ContentFolder",
    "FastCgiPool",
    "HostTransform",
    "HostingPlan",
    "HttpPool",
    "PoolKind",
    "SiteFacts",
    "compile_plan",
]
