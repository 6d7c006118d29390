"""The check over the real process: asked for, and at a deployment."""

from conftest import ScmProcess

_MOUNTING = r"""<configuration xmlns:xdt="http://schemas.microsoft.com/XML-Document-Transform"><system.applicationHost><sites>
<site name="%XDT_SCMSITENAME%" xdt:Locator="Match(name)">
  <application path="{path}" xdt:Transform="Insert"><virtualDirectory path="/" physicalPath="%XDT_EXTENSIONPATH%"/></application>
</site></sites></system.applicationHost></configuration>"""


def test_the_check_of_a_site_is_answered_as_json(scm: ScmProcess) -> None:
    (scm.web_root / "app.py").write_text("import winreg\n")
    found = scm.client.get("/api/homeport/check").json()["findings"]
    assert [(each["code"], each["file"], each["line"]) for each in found] == [
        ("python.windows-module", "app.py", 1),
        ("webconfig.none", "", 0),
    ]


def test_a_deployment_says_in_its_log_what_will_not_work(scm: ScmProcess) -> None:
    files = {"app.py": "\nimport msvcrt\n", "wheels/a-1-cp36-none-win32.whl": ""}
    assert scm.deploy(files).status_code == 200
    text = scm.log_text(scm.latest()["id"])
    assert "app.py:2:1: error: 'msvcrt' exists on Windows only" in text
    assert (
        "wheels/a-1-cp36-none-win32.whl: error: The wheel a-1-cp36-none-win32.whl is for cp36-none-win32"
        in text
    )
    assert scm.latest()["status"] == 4


def test_what_is_wrong_with_the_transforms_of_extensions_for_the_scm_site_is_said_too(
    scm: ScmProcess,
) -> None:
    for name, file, path in (
        ("Example.Hiding", "scmApplicationHost.xdt", "/api"),
        ("Example.Old", "applicationHost.xdt", "/vfs"),
    ):
        folder = scm.home / "SiteExtensions" / name
        folder.mkdir(parents=True)
        (folder / file).write_text(_MOUNTING.format(path=path))

    found = {each["file"]: each for each in scm.client.get("/api/homeport/check").json()["findings"]}
    assert scm.deploy({"index.html": "new"}).status_code == 200
    log = scm.log_text(scm.latest()["id"])

    for file, path in (
        ("SiteExtensions/Example.Hiding/scmApplicationHost.xdt", "/api"),
        ("SiteExtensions/Example.Old/applicationHost.xdt", "/vfs"),
    ):
        assert (found[file]["code"], found[file]["line"], found[file]["column"]) == (
            "webconfig.scm-path",
            3,
            3,
        )
        assert found[file]["remedy"] == f"Choose another path than {path}."
        assert log.count(f"{file}:3:3: error: An application at '{path}' would hide") == 1
