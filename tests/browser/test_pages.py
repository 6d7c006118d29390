"""Every other page in a real browser (Kudu reference §10)."""

import io
import re
import zipfile

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from acceptance.running import SAMPLE_WEB_CONFIG, eventually

from .conftest import SITE, Scm, drop_file, sign_in

PAGES = {
    "/": "Environment",
    "/DebugConsole": "CMD",
    "/ProcessExplorer": "Processes",
    "/LogStream": "Log stream",
    "/DeploymentCenter": "Deployments",
    "/ZipDeployUI": "Drop a zip here",
    "/SiteExtensions": "Gallery",
    "/Env": "App settings",
    "/files/site/": "wwwroot",
}
APP = b"""
def wsgi_app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""


def packed(**files: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as package:
        for name, content in files.items():
            package.writestr(name.replace("__", "."), content)
    return data.getvalue()


@pytest.mark.parametrize(("address", "words"), PAGES.items())
@pytest.mark.parametrize("width", [1280, 400])
def test_pages_fit_and_are_reached_by_keyboard(
    page: Page, scm: Scm, address: str, words: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(scm.address + address)

    expect(page.locator("main")).to_contain_text(words)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
    if address != "/DebugConsole":  # there, the terminal has the focus
        page.keyboard.press("Tab")
        expect(page.get_by_text("Skip to content")).to_be_focused()


@pytest.mark.parametrize("address", ["/", "/DeploymentCenter", "/Env", "/files/site/", "/ProcessExplorer"])
def test_pages_that_only_tell_work_without_scripts(chromium, scm: Scm, address: str) -> None:  # type: ignore[no-untyped-def]
    context = chromium.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        sign_in(page, scm, address)
        assert page.url == scm.address + address
        expect(page.locator("main")).to_contain_text(PAGES[address])
    finally:
        context.close()


def test_a_zip_push_shows_its_log_and_is_served(page: Page, scm: Scm) -> None:
    page.goto(f"{scm.address}/ZipDeployUI")

    drop_file(page, "#drop", "app.zip", packed(index__html=b"pushed", web__config=b"<configuration/>"))

    expect(page.locator("#deployment .state").first).to_have_text("success")
    expect(page.locator("#deployment .log")).to_contain_text("index.html")
    assert scm.platform.get(SITE, "/index.html").text == "pushed"


def test_a_broken_zip_is_told(page: Page, scm: Scm) -> None:
    page.goto(f"{scm.address}/ZipDeployUI")

    drop_file(page, "#drop", "app.zip", b"this is no zip")

    expect(page.locator("#deployment .state").first.or_(page.locator("#notices .bad"))).to_contain_text(
        re.compile("failed|zip", re.IGNORECASE)
    )


def test_an_older_deployment_is_carried_out_again(page: Page, scm: Scm) -> None:
    for content in (b"one", b"two"):
        with scm.platform.scm(SITE) as client:
            client.post(
                "/api/zipdeploy", params={"message": content.decode()}, content=packed(v__html=content)
            ).raise_for_status()
    page.goto(f"{scm.address}/DeploymentCenter")
    page.get_by_role("link", name="one", exact=True).first.click()

    page.get_by_role("button", name="Compare").click()
    expect(page.locator("#changes")).to_contain_text("changedv.html")
    page.get_by_role("button", name="Redeploy").click()
    page.locator("#ask-yes").click()

    expect(page.locator("#notices")).to_contain_text("Done.")
    expect(page.locator("#deployment .state.live")).to_be_visible()
    assert scm.platform.get(SITE, "/v.html").text == "one"


def test_an_older_deployment_is_looked_at_beside_the_live_one(
    page: Page, context: BrowserContext, scm: Scm
) -> None:
    for content in (b"past", b"present"):
        with scm.platform.scm(SITE) as client:
            client.post(
                "/api/zipdeploy", params={"message": content.decode()}, content=packed(index__html=content)
            ).raise_for_status()
    page.goto(f"{scm.address}/DeploymentCenter")
    page.get_by_role("link", name="past", exact=True).first.click()

    page.get_by_role("button", name="Preview", exact=True).click()
    expect(page.locator("#previewed")).to_contain_text("LogFiles")
    with context.expect_page() as opened:
        page.get_by_role("link", name="Open the preview").click()

    preview = opened.value
    expect(preview.locator("body")).to_have_text("past")
    address = preview.url
    assert "token" not in address
    assert scm.platform.get(SITE).text == "present"
    preview.reload()
    expect(preview.locator("body")).to_have_text("past")
    page.get_by_role("button", name="End the preview").click()
    expect(page.locator("#notices")).to_contain_text("The preview has ended.")


def test_the_log_stream_follows_pauses_filters_and_resumes(
    page: Page, context: BrowserContext, scm: Scm
) -> None:
    def append(line: str) -> None:
        with scm.platform.scm(SITE) as client:
            client.post(
                "/api/command", json={"command": f"echo {line}>> D:\\home\\LogFiles\\shown.log"}
            ).raise_for_status()

    page.goto(f"{scm.address}/LogStream")
    expect(page.locator("#state")).to_have_text("Following")
    append("first line")
    expect(page.locator("#log")).to_contain_text("first line")
    page.get_by_role("button", name="Pause").click()
    append("while paused")
    expect(page.locator("#state")).to_contain_text("1 lines waiting")
    assert "while paused" not in page.locator("#log").inner_text()
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("#log")).to_contain_text("while paused")
    context.set_offline(offline=True)
    append("[b]offline[/b]")
    context.set_offline(offline=False)
    expect(page.locator("#log")).to_contain_text("offline")
    page.locator("#filter").fill("PAUSED")
    expect(page.locator("#log p")).to_have_count(1)


def test_log_lines_are_text(page: Page, scm: Scm) -> None:
    page.goto(f"{scm.address}/LogStream")
    expect(page.locator("#state")).to_have_text("Following")
    with scm.platform.scm(SITE) as client:
        client.put(
            "/api/vfs/LogFiles/hostile.log",
            content=b"<img src=x onerror=alert(1)>\n",
            headers={"If-Match": "*"},
        )

    expect(page.locator("#log")).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("#log img").count() == 0


def test_processes_show_load_stacks_and_flames_and_can_be_killed(page: Page, scm: Scm) -> None:
    scm.platform.write(SITE, {"app.py": APP, "web.config": SAMPLE_WEB_CONFIG()})
    with scm.platform.scm(SITE) as client:
        client.post("/api/command", json={"command": 'bash -c "sleep 1001 >/dev/null 2>&1 &"'})
    assert scm.platform.get(SITE).text == "hello"
    page.goto(f"{scm.address}/ProcessExplorer")
    worker = page.locator("tr", has_text="worker").first
    worker.locator("button.link").click()
    expect(page.locator("#details")).to_be_visible()
    page.get_by_role("button", name="Python stacks").click()
    expect(page.locator("#stack")).to_contain_text("<module> (homeport/worker/launch.py")
    page.get_by_role("button", name="Flame graph").click()
    expect(page.locator("#flame div").first).to_have_text("all")
    expect(page.locator("#cpu-now")).to_contain_text("%")

    kill = page.get_by_role("button", name=re.compile("Kill sleep"))
    kill.click()
    page.locator("#ask-yes").click()
    expect(kill).to_have_count(0)


def test_extensions_are_searched_and_one_tells_its_web_config(page: Page, scm: Scm) -> None:
    page.goto(f"{scm.address}/SiteExtensions")
    expect(page.locator("#installed .card")).to_have_count(1)
    page.locator("#filter").fill("3.12")
    expect(page.locator("#installed")).to_contain_text("None.")
    expect(page.locator("#gallery .card").first).to_contain_text("3.12")
    page.locator("#filter").fill("")
    page.locator("#installed .card a").first.click()

    expect(page.locator("#facts")).to_contain_text("Python Software Foundation")
    expect(page.locator("#wsgi")).to_contain_text(
        r'scriptProcessor="D:\home\python3117x64\python.exe|D:\home\python3117x64\wfastcgi.py"'
    )


def test_secrets_show_when_asked_for(page: Page, scm: Scm) -> None:
    scm.platform.homeport("settings", "set", SITE, "DB_PASSWORD=hunter2")
    with scm.platform.scm(SITE) as client:
        eventually(lambda: "DB_PASSWORD" in client.get("/api/settings").json())
    page.goto(f"{scm.address}/Env")
    expect(page.locator("main")).to_contain_text("DB_PASSWORD")
    assert "hunter2" not in page.content()

    page.get_by_role("link", name="Show them").click()

    expect(page.locator("main")).to_contain_text("hunter2")
