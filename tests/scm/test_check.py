"""The check over the real process: asked for, and at a deployment."""

from conftest import ScmProcess


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
