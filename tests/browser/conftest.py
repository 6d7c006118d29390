"""A platform with one site, and Debian's Chromium as its owner's browser."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from acceptance.running import Platform, running_platform

SITE = "shown"
WAIT_MILLISECONDS = 60_000
_CHROMIUM = "/usr/bin/chromium"
_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
expect.set_options(timeout=WAIT_MILLISECONDS)


@dataclass(frozen=True)
class Scm:
    """The SCM site and what opens it."""

    platform: Platform
    user: str
    password: str

    @property
    def address(self) -> str:
        return f"http://{SITE}.scm.localhost:{self.platform.port}"

    @property
    def home(self) -> Path:
        return self.platform.data / "sites" / SITE / "home"


@pytest.fixture(scope="session")
def scm() -> Iterator[Scm]:
    """Give the SCM site of a site with a Python."""
    with running_platform() as platform:
        platform.homeport("site", "create", SITE)
        platform.homeport("extension", "add", SITE, "python3117x64")
        publishing = platform.json("site", "show", SITE)["publishing"]
        yield Scm(platform, publishing["user"], publishing["password"])


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser, scm: Scm) -> Iterator[BrowserContext]:
    """Give a browser without a session."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(WAIT_MILLISECONDS)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, scm: Scm) -> Iterator[Page]:
    """Give the page of a person who has signed in; errors of our scripts and of the policy fail the test."""
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "console",
        lambda message: problems.append(message.text) if "Content Security Policy" in message.text else None,
    )
    sign_in(page, scm)
    yield page
    assert problems == []


def sign_in(page: Page, scm: Scm, target: str = "/") -> None:
    """Do what a person does at the sign-in page."""
    page.goto(scm.address + target)
    page.get_by_label("User").fill(scm.user)
    page.get_by_label("Password").fill(scm.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def drop_file(page: Page, selector: str, name: str, content: bytes) -> None:
    """Drop a file onto an element, as a drag from the desktop does."""
    transfer = page.evaluate_handle(
        """([name, bytes]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], name));
            return transfer;
        }""",
        [name, list(content)],
    )
    for event in ("dragenter", "dragover", "drop"):
        page.dispatch_event(selector, event, {"dataTransfer": transfer})


def terminal_text(page: Page) -> str:
    """Return what the terminal shows."""
    text: str = page.locator(".xterm-rows").inner_text()
    return text.replace("\xa0", " ")


def type_line(page: Page, line: str) -> None:
    """Type a line at the terminal's prompt."""
    page.locator(".xterm-helper-textarea").focus()
    page.keyboard.type(f"{line}\n")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here: it starts the whole platform."""
    for item in items:
        if "browser" in item.path.parts:
            item.add_marker(pytest.mark.platform)
            item.add_marker(pytest.mark.timeout(300))
