"""What is known of a site that does not start: facts, none of them judged."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from homeport.model.finding import Finding
from homeport.scm.failures import Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class PortNeverOpened:
    """A process of an httpPlatform pool was up and did not listen on its port: which, how long it had, what it did.

    `standing_at` is where its Python stood when it was ended, as `app.py:3 in connect`.
    """

    port: int
    seconds: float
    command: str = ""
    instead: str = ""
    standing_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFact:
    """A pool as the agent sees it: `idle`, `starting`, `running`, `failed` or `broken`, and the last reason."""

    id: str
    state: str
    reason: str = ""
    port_never_opened: PortNeverOpened | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLog:
    """The last lines that the processes of a pool have written; those of the platform begin with its mark."""

    pool: str
    file: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFault:
    """What nginx last found wrong with an answer of the site's own web server (`homeport.node.answer_faults`)."""

    kind: str
    time: str
    request: str
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that `find_causes` decides on.

    `failures` are the newest first. `requirements` are the lines of requirements.txt with their numbers.
    `installed` are the canonical names in the site's Python, which is in `python_folder` below /home. `pools` is None
    where the agent did not answer. `content` are the names directly in the content folder. `memory_limit` is in
    bytes, `memory_kills` counts the processes that the kernel killed because of it. `places` are the file and line
    where a pool (by its id) and WSGI_HANDLER are configured.
    """

    site: str
    places: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    stopped: bool = False
    findings: tuple[Finding, ...] = ()
    failures: tuple[Failure, ...] = ()
    pools: tuple[PoolFact, ...] | None = None
    answer_fault: AnswerFault | None = None
    memory_limit: int | None = None
    memory_kills: int = 0
    logs: tuple[PoolLog, ...] = ()
    requirements: tuple[tuple[int, str], ...] = ()
    installed: frozenset[str] = frozenset()
    python_folder: str = ""
    settings: frozenset[str] = frozenset()
    content: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One reason. `headline` is a sentence that names it, `evidence` pairs of what it is and the text itself."""

    code: str
    headline: str
    remedy: str
    file: str = ""
    line: int = 0
    time: str = ""
    evidence: tuple[tuple[str, str], ...] = ()
