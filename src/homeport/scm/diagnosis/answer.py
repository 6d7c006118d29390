"""What `/api/homeport/why` answers."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from homeport.scm.diagnosis.evidence import Cause, Evidence


def why_answer(evidence: Evidence, causes: Sequence[Cause]) -> dict[str, Any]:
    """Return `{"causes": [...], "pools": [...], "agent": whether the agent answered}`, the most telling cause first."""
    return {
        "causes": [
            {**asdict(cause), "evidence": [{"name": name, "text": text} for name, text in cause.evidence]}
            for cause in causes
        ],
        "pools": [asdict(pool) for pool in evidence.pools or ()],
        "agent": evidence.pools is not None,
    }
