"""`homeport why` and `homeport trace` as a person types them."""

import json

from cli.conftest import Keyboard

CONFIG = """<configuration><system.webServer><handlers>
<add name="texts" path="*.txt" verb="GET" modules="StaticFileModule"/>
</handlers></system.webServer></configuration>
"""


def test_a_trace_says_who_answers_and_why_the_others_do_not(hello: Keyboard) -> None:
    (hello.content / "web.config").write_text(CONFIG)
    (hello.content / "a.txt").write_text("a")
    shown = hello.type("trace", "hello", "/a.txt?b=1").stdout.splitlines()
    assert shown[:4] == [
        "request   GET /a.txt?b=1",
        "answer    The file is sent (file)",
        "handler   texts",
        "folder    /",
    ]
    line = next(line for line in shown if line.startswith("handler  texts"))
    assert "web.config:2" in line
    refused = hello.type("trace", "hello", "/bin/x").stdout
    assert "It is refused with 404.8" in refused


def test_a_site_without_a_problem_has_no_cause(hello: Keyboard) -> None:
    assert hello.type("why", "hello").stdout.startswith("Nothing is known to be wrong.")


def test_a_cause_is_shown_with_its_evidence_and_exit_code_1(hello: Keyboard) -> None:
    folder = hello.home / "LogFiles/homeport/failures"
    folder.mkdir(parents=True)
    text = 'Traceback (most recent call last):\n  File "/home/site/wwwroot/app.py", line 2, in <module>\n    import yaml\n'
    report = {"kind": "startup", "traceback": f"{text}ModuleNotFoundError: No module named 'yaml'\n\x1b[31m"}
    (folder / "0a.json").write_text(json.dumps(report))
    shown = hello.type("why", "hello", status=1).stdout
    assert shown.startswith("The module 'yaml' is missing, and no line of requirements.txt brings it.\n")
    assert "  where        app.py:2\n" in shown
    assert "  what to do   Add this line to requirements.txt and deploy again: PyYAML\n" in shown
    assert "\x1b" not in shown
