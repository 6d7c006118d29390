"""What is gathered of a site's pools from what the agent says."""

import json
from pathlib import Path

import pytest

from homeport.scm.diagnosis.evidence import PortNeverOpened
from homeport.scm.diagnosis.gathering import gather


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            {
                "port": 30123,
                "seconds": 60.0,
                "instead": "it listens elsewhere",
                "standing_at": "app.py:1 in f",
            },
            PortNeverOpened(
                port=30123, seconds=60.0, instead="it listens elsewhere", standing_at="app.py:1 in f"
            ),
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


def test_the_lines_of_pools_and_of_the_handler_are_found(tmp_path: Path) -> None:
    """A cause that lies in web.config is shown with its line."""
    root = tmp_path / "site/wwwroot"
    root.mkdir(parents=True)
    (root / "web.config").write_text(
        "<configuration>\n<appSettings>\n<add key='WSGI_HANDLER' value='app.app'/>\n</appSettings>\n"
        "<system.webServer><handlers>\n<add name='w' path='*' verb='*' modules='httpPlatformHandler'/>\n"
        "</handlers>\n<httpPlatform processPath='bash'/>\n</system.webServer></configuration>"
    )
    places = dict(gather(tmp_path, site="hello", app_settings={}, hosting=None).places)

    assert places.pop("WSGI_HANDLER") == ("web.config", 3)
    assert list(places.values()) == [("web.config", 8)]


def test_reports_and_logs_of_a_preview_are_not_taken_for_those_of_the_site(tmp_path: Path) -> None:
    reports, logs = tmp_path / "LogFiles/homeport/failures", tmp_path / "LogFiles/Application"
    reports.mkdir(parents=True)
    logs.mkdir()
    (reports / "0a.json").write_text(json.dumps({"kind": "startup", "handler": "live"}))
    (reports / "0b.json").write_text(json.dumps({"kind": "startup", "preview": "0" * 32}))
    (logs / "wsgi-1.log").write_text("live")
    (logs / "preview-00000000-wsgi-1.log").write_text("old")

    live = gather(tmp_path, site="hello", app_settings={}, hosting=None)
    preview = gather(tmp_path, site="hello", app_settings={}, hosting=None, preview="0" * 32)

    assert [each.id for each in live.failures] == ["0a"]
    assert [each.id for each in preview.failures] == ["0b"]
    assert [(log.pool, log.lines) for log in preview.logs] == [("wsgi-1", ("old",))]
    assert ("wsgi-1", ("live",)) in [(log.pool, log.lines) for log in live.logs]
