"""The compatibility page is what the tables say."""

from pathlib import Path

from homeport.webconfig.support_page import render_support_page

PAGE = Path(__file__).parents[2] / "docs/compatibility/webconfig.md"


def test_the_page_in_the_documentation_is_up_to_date() -> None:
    assert PAGE.read_text() == render_support_page(), "run: make docs"


def test_what_is_honoured_and_what_is_not_both_stand_in_it() -> None:
    page = render_support_page()

    assert "| `configuration/system.webServer/handlers/add` |  | full |" in page
    assert "| `maxInstances` | full |" in page
    assert "| `pingInterval` | absent |" in page
