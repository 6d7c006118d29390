"""Sections of web.config on a whole platform, with an application behind them."""

from collections.abc import Callable

from acceptance.running import Platform, eventually
from acceptance.sites import application, web_config

Make = Callable[..., str]

MORE = """
    <httpErrors><error statusCode="404" path="errors\\404.html" /></httpErrors>
    <httpProtocol><customHeaders><add name="X-Own" value="yes; $host" /></customHeaders></httpProtocol>
"""
STRINGS = """<connectionStrings>
    <add name="Main" connectionString="Server=db;Password=secret" providerName="System.Data.SqlClient" />
  </connectionStrings>
</configuration>"""
ANSWER = """
if environ["PATH_INFO"] == "/string":
    return os.environ.get("SQLCONNSTR_Main")
return "hello"
"""


def test_pages_headers_and_connection_strings_hold_for_a_real_application(
    platform: Platform, make_site: Make
) -> None:
    config = web_config(more=MORE).replace("</configuration>", STRINGS)
    static = "<configuration><system.webServer><handlers><remove name='PythonHandler'/></handlers></system.webServer></configuration>"
    site = make_site(
        "configured",
        {
            "web.config": config,
            "app.py": application(ANSWER),
            "errors/404.html": "own page",
            "static/web.config": static,
            "static/a.css": "a{}",
        },
    )
    eventually(lambda: platform.get(site).text == "hello")

    assert platform.get(site).headers["x-own"] == "yes; $host"
    assert platform.get(site, "/string").text == "Server=db;Password=secret"
    missing = platform.get(site, "/static/none.css")
    assert (missing.status_code, missing.text, missing.headers["x-own"]) == (404, "own page", "yes; $host")
    assert platform.get(site, "/static/a.css").text == "a{}"
    shown = platform.homeport("site", "show", site, "--json").stdout
    assert "secret" not in shown


def test_a_changed_section_is_live_and_a_wrong_one_refuses_its_folder_only(
    platform: Platform, make_site: Make
) -> None:
    site = make_site("reconfigured", {"web.config": web_config(), "app.py": application("return 'one'")})
    eventually(lambda: platform.get(site).text == "one")
    wrong = (
        "<configuration><system.webServer><webSocket enabled='perhaps'/></system.webServer></configuration>"
    )

    platform.write(site, {"a/web.config": wrong, "web.config": web_config(more=MORE)})

    eventually(lambda: platform.get(site, "/a/x").status_code == 500)
    assert platform.get(site, "/b").text == "one"
    eventually(lambda: platform.get(site, "/b").headers.get("x-own") == "yes; $host")
    assert any(
        found["file"] == "a/web.config" and found["line"] == 1
        for found in platform.json("site", "show", site)["findings"]
    )
