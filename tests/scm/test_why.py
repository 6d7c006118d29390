"""`/why` and its JSON over the real SCM process."""

import json

from conftest import ScmProcess

TRACEBACK = (
    'Traceback (most recent call last):\n  File "/home/site/wwwroot/app.py", line 3, in <module>\n'
    "    import <script>\nModuleNotFoundError: No module named 'yaml'\n"
)


def fail(scm: ScmProcess) -> None:
    folder = scm.home / "LogFiles/homeport/failures"
    folder.mkdir(parents=True)
    report = {
        "kind": "startup",
        "traceback": TRACEBACK,
        "handler": "app.app",
        "time": "2026-01-02",
        "python": "3.11.7",
    }
    (folder / "0a1b.json").write_text(json.dumps(report))


def test_the_cause_is_answered_as_json(scm: ScmProcess) -> None:
    fail(scm)
    value = scm.client.get("/api/homeport/why").json()
    cause = value["causes"][0]
    assert cause["headline"] == "The module 'yaml' is missing, and no line of requirements.txt brings it."
    assert cause["remedy"].endswith("deploy again: PyYAML")
    assert (cause["file"], cause["line"]) == ("app.py", 3)
    assert value["agent"] is False


def test_the_page_shows_it_and_nothing_of_the_site_is_markup(scm: ScmProcess) -> None:
    fail(scm)
    page = scm.client.get("/why")
    assert "The module &#39;yaml&#39; is missing" in page.text
    assert "app.py:3: import &lt;script&gt;" in page.text
    assert "<script>" not in page.text
    assert '<a href="/failures/0a1b">' in page.text
    assert '<a href="/why">' in scm.client.get("/").text


def test_a_site_without_a_problem_says_so(scm: ScmProcess) -> None:
    assert scm.client.get("/api/homeport/why").json()["causes"] == []
    assert "Nothing is known to be wrong" in scm.client.get("/why").text
