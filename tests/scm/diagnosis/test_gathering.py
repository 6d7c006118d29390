"""What is gathered of a site's pools from what the agent says."""

from pathlib import Path

import pytest

from homeport.scm.diagnosis.evidence import PortNeverOpened
from homeport.scm.diagnosis.gathering import gather


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            {"port": 30123, "seconds": 60.0, "instead": "it listens elsewhere"},
            PortNeverOpened(port=30123, seconds=60.0, instead="it listens elsewhere"),
        ),
        ({"port": 30123, "seconds": 5, "instead": ""}, PortNeverOpened(port=30123, seconds=5.0)),
        (None, None),
    ],
)
def test_a_port_that_was_never_opened_is_what_the_agent_says(
    said: object, expected: PortNeverOpened | None, tmp_path: Path
) -> None:
    """Words of a process in the reason are no fact."""
    pool = {
        "id": "http-1",
        "state": "idle",
        "reason": "the process ended: it did not listen within 9 s on port 1",
        "port_never_opened": said,
    }
    found = gather(tmp_path, site="hello", app_settings={}, hosting={"state": "Running", "pools": [pool]})

    assert found.pools is not None
    assert found.pools[0].port_never_opened == expected
