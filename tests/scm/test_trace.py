"""`/api/homeport/trace` over the real SCM process."""

import pytest
from conftest import ScmProcess

CONFIG = """<configuration>
  <system.webServer>
    <handlers><add name="files" path="*.txt" verb="GET" modules="StaticFileModule" resourceType="File"/></handlers>
  </system.webServer>
</configuration>
"""


def test_the_way_of_a_request_is_answered_as_json(scm: ScmProcess) -> None:
    (scm.web_root / "web.config").write_text(CONFIG)
    (scm.web_root / "a.txt").write_text("a")
    found = scm.client.get("/api/homeport/trace", params={"url": "http://hello.localhost/a.txt?x=1"}).json()
    assert (found["answer"], found["handler"], found["query"]) == ("file", "files", "x=1")
    taken = next(step for step in found["steps"] if step["verdict"] == "taken")
    assert (taken["file"], taken["line"]) == ("web.config", 3)
    assert found["processes"] == []


@pytest.mark.parametrize(
    "url",
    ["/../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/..%2f..%2f..%2fetc%2fpasswd"],
)
def test_no_address_tells_what_is_outside_the_content(scm: ScmProcess, url: str) -> None:
    found = scm.client.get("/api/homeport/trace", params={"url": url}).json()
    assert found["answer"] not in {"file", "listing"}


def test_what_is_no_request_is_refused(scm: ScmProcess) -> None:
    answer = scm.client.get("/api/homeport/trace", params={"url": "/", "method": "G T"})
    assert answer.status_code == 400


def test_the_page_shows_each_step_and_nothing_of_the_site_is_markup(scm: ScmProcess) -> None:
    (scm.web_root / "web.config").write_text(CONFIG.replace('name="files"', 'name="&lt;b&gt;files"'))
    (scm.web_root / "a.txt").write_text("a")

    page = scm.client.get("/trace", params={"url": '/a.txt?x="><script>'})

    assert page.status_code == 200
    assert "&lt;b&gt;files" in page.text
    assert "web.config:3" in page.text
    assert "<script>" not in page.text
    assert '<a href="/trace">' in scm.client.get("/").text
