"""Whole folders, as `homeport check` reads them."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from homeport.model.finding import Finding, Severity
from homeport.scm.checking.content import check_folder, check_site
from homeport.scm.deployments.build_note import BuildNote, read_build_note, write_build_note

CONFIG = r"""<configuration>
  <appSettings>
    <add key="PYTHONPATH" value="D:\home\site\wwwroot"/>
    <add key="WSGI_HANDLER" value="app.wsgi_app"/>
  </appSettings>
  <system.webServer>
    <handlers>
      <add name="Python" path="*" verb="*" modules="FastCgiModule"
           scriptProcessor="D:\home\python3117x64\python.exe|D:\home\python3117x64\wfastcgi.py"/>
    </handlers>
  </system.webServer>
</configuration>
"""
PYTHON = r"D:\home\python3117x64\python.exe"
GOOD: dict[str, str | bytes] = {"web.config": CONFIG, "app.py": "wsgi_app = None\n"}


def written(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def found(root: Path, files: dict[str, str | bytes]) -> dict[str, Finding]:
    return {each.code: each for each in check_folder(written(root, GOOD | files), name="hello")}


def test_a_good_folder_has_only_what_it_needs(tmp_path: Path) -> None:
    (finding,) = check_folder(written(tmp_path, GOOD), name="hello")
    assert finding.severity is Severity.INFO
    assert finding.remedy == "homeport extension add hello python3117x64"
    assert finding.file == "web.config"


def sdist() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in ("fast-1.0/PKG-INFO", "fast-1.0/setup.py", "fast-1.0/fast.c"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("code", "files", "place", "words"),
    [
        ("python.windows-module", {"x/y.py": "\nimport winreg"}, "x/y.py:2", "winreg"),
        ("webconfig.unknown-element", {"web.config": CONFIG.replace("<handlers>", "<wonder/><handlers>")}, "web.config:7", "wonder"),
        ("webconfig.malformed", {"static/web.config": "<configuration>"}, "static/web.config:1", "well-formed"),
        (
            "webconfig.shadowed",
            {"web.config": CONFIG.replace("</handlers>", '<add name="late" path="*.x" verb="GET" modules="StaticFileModule"/></handlers>')},
            "web.config:10",
            "Handler 'late' (*.x) is never reached: 'Python' (web.config:8) before it",
        ),
        ("check.missing-folder", {"web.config": CONFIG.replace('wwwroot"', 'wwwroot;D:\\home\\site\\wwwroot\\lib"')}, "web.config:3", "/home/site/wwwroot/lib, which does not exist"),
        ("check.missing-handler", {"web.config": CONFIG.replace("app.wsgi_app", "App2.wsgi_app")}, "web.config:4", "no module 'App2'"),
        ("check.wsgi-handler", {"web.config": CONFIG.replace("app.wsgi_app", "1+1")}, "web.config:4", "names no Python object"),
        ("packages.wheel", {"wheels/numpy-1.13.1-cp36-none-win_amd64.whl": b""}, "wheels/numpy-1.13.1-cp36-none-win_amd64.whl", "cp36-none-win_amd64"),
        ("packages.needs-compiler", {"libs/fast-1.0.tar.gz": sdist()}, "libs/fast-1.0.tar.gz", "fast-1.0/fast.c"),
        ("packages.windows-package", {"requirements.txt": "flask\npywin32\n"}, "requirements.txt:2", "pywin32"),
        ("packages.missing-file", {"requirements.txt": "-c base.txt\nflask\n-r gone.txt\n", "base.txt": ""}, "requirements.txt:3", "'gone.txt', which does not exist"),
        ("python.windows-driver", {"x.py": "D = '{SQL Server Native Client 11.0}'"}, "x.py:1", "'SQL Server Native Client 11.0' is one of Windows"),
        ("python.windows-driver", {"x.py": "D = 'SQL Server Native Client 11.0'"}, "x.py:1", "'SQL Server Native Client 11.0' is one of Windows"),
        ("check.windows-library", {"lib/_fast.pyd": b""}, "lib/_fast.pyd", "compiled for Windows"),
        ("check.windows-environment", {"env/Scripts/python.exe": b""}, "env/Scripts/python.exe", "'env' is a virtual environment"),
        ("check.windows-environment", {"env/Scripts/python.exe": b"", "env/pyvenv.cfg": b"home = C:\\Python36"}, "env/Scripts/python.exe", "'env' is a virtual environment"),
        ("python.windows-path", {"settings.py": "LOG = 'D:/home/LogFiles/x.log'"}, "settings.py:1", "Windows path"),
    ],
)  # fmt: skip
def test_what_will_not_work_is_found_with_its_place(
    tmp_path: Path, code: str, files: dict[str, str | bytes], place: str, words: str
) -> None:
    finding = found(tmp_path, files)[code]
    assert ":".join(str(part) for part in (finding.file, finding.line) if part) == place
    assert words in finding.message
    assert finding.remedy


def test_a_script_that_a_process_would_be_started_with_must_be_there(tmp_path: Path) -> None:
    config = """<configuration><system.webServer>
<handlers><add name="web" path="*" verb="*" modules="httpPlatformHandler"/></handlers>
<httpPlatform processPath="D:\\home\\python3117x64\\python.exe" arguments="D:\\home\\site\\wwwroot\\runserver.py --port %HTTP_PLATFORM_PORT%"/>
</system.webServer></configuration>"""
    finding = found(tmp_path, {"web.config": config})["check.missing-program"]
    assert finding.message == (
        "The command line of a process names /home/site/wwwroot/runserver.py, which does not exist."
    )


def platform(process: str, arguments: str) -> str:
    return f"""<configuration><system.webServer>
<handlers><add name="web" path="*" verb="*" modules="httpPlatformHandler"/></handlers>
<httpPlatform processPath="{process}" arguments="{arguments}"/></system.webServer></configuration>"""


@pytest.mark.parametrize(
    ("config", "missing"),
    [
        (platform(PYTHON, "-u serve.py 1"), "/home/site/wwwroot/serve.py, which does not exist"),
        (platform(PYTHON, "-u app.py"), None),
        (platform(PYTHON, "-m uvicorn.py"), None),
        (platform(r"D:\home\python3117x64\Scripts\uvicorn.exe", "app:app"), "/home/python3117x64/bin/uvicorn, which the site's"),
        (platform(r"D:\home\python3117x64\Scripts\pip.exe", "serve"), None),
        (platform("node", "serve.js"), None),
        (CONFIG.replace("wfastcgi.py", "wfast.py"), "/home/python3117x64/wfast.py, which the site's Python does not have"),
    ],
)  # fmt: skip
def test_what_a_command_line_names_must_be_there(tmp_path: Path, config: str, missing: str | None) -> None:
    home = site(tmp_path, GOOD | {"web.config": config})
    written(home, {"python3117x64/bin/pip": ""})
    named = {each.code: each for each in check_site(home, name="hello", app_settings={})}
    assert ("check.missing-program" in named) == (missing is not None)
    if missing is not None:
        assert missing in named["check.missing-program"].message
        assert named["check.missing-program"].line in {3, 8}


def test_the_right_spelling_of_a_module_is_offered(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"web.config": CONFIG.replace("app.wsgi_app", "App.wsgi_app")}
    assert "Did you mean 'app'?" in found(tmp_path, files)["check.missing-handler"].remedy


def test_the_applications_own_module_may_have_the_name_of_a_windows_one(tmp_path: Path) -> None:
    assert "python.windows-module" not in found(tmp_path, {"wmi.py": "", "x.py": "import wmi"})


def test_an_environment_of_windows_is_one_finding_however_much_is_in_it(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "env/Scripts/python.exe": b"",
        "env/Lib/site-packages/a-1.dist-info/WHEEL": "Tag: cp34-none-win32\n",
        "env/Lib/site-packages/a/_a.pyd": b"",
    }
    assert found(tmp_path, files).keys() == {"check.windows-environment", "check.needs-extension"}


def test_errors_come_first(tmp_path: Path) -> None:
    findings = check_folder(
        written(tmp_path, GOOD | {"requirements.txt": "pywin32\n", "z.py": "import winreg"})
    )
    ranks = [each.severity for each in findings]
    assert ranks == sorted(ranks, key=[Severity.ERROR, Severity.WARNING, Severity.INFO].index)


def test_the_version_that_is_asked_for_judges(tmp_path: Path) -> None:
    name = "a-1-cp39-cp39-manylinux_2_17_x86_64.whl"
    root = written(tmp_path, GOOD | {name: b""})
    assert [each.code for each in check_folder(root, version=(3, 9))] == ["check.needs-extension"]
    assert "packages.wheel" in [each.code for each in check_folder(root, version=(3, 10))]


def test_links_and_devices_are_not_read(tmp_path: Path) -> None:
    secret = written(tmp_path / "outside", {"secret.py": "import winreg"})
    root = written(tmp_path / "site", GOOD)
    (root / "link.py").symlink_to(secret / "secret.py")
    (root / "folder").symlink_to(secret)
    os.mkfifo(root / "pipe.py")
    (root / "requirements.txt").symlink_to("/etc/passwd")
    assert [each.code for each in check_folder(root)] == ["check.needs-extension"]


def site(home: Path, files: dict[str, str | bytes]) -> Path:
    python = "python3117x64"
    written(home / "site/wwwroot", files)
    written(home, {f"{python}/pyvenv.cfg": "version = 3.11.7\n", f"{python}/bin/python": ""})
    packages: dict[str, str | bytes] = {
        f"{python}/Lib/site-packages/{name}-1.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\n\nText"
        for name in ("pip", "Flask", "requests")
    }
    return written(home, packages)


def test_packages_that_are_only_in_the_extension_are_named(tmp_path: Path) -> None:
    home = site(tmp_path, GOOD | {"requirements.txt": "flask\n"})
    (finding,) = check_site(home, name="hello", app_settings={})
    assert finding.code == "packages.only-in-extension"
    assert finding.message == "Installed by hand into python3117x64 and in no requirements file: requests."


def test_packages_of_earlier_builds_are_not_called_installed_by_hand(tmp_path: Path) -> None:
    home = site(tmp_path, GOOD | {"requirements.txt": "pip\n"})
    note = BuildNote(brought=("Flask-1.dist-info", "requests-0.9.dist-info"))  # requests 1 came later
    write_build_note(home / "python3117x64", note)
    by_build, by_hand = sorted(check_site(home, name="hello", app_settings={}), key=lambda each: each.code)
    assert (by_build.code, by_hand.code) == ("packages.no-longer-required", "packages.only-in-extension")
    assert by_build.message.startswith("Installed into python3117x64 by earlier deployments")
    assert by_build.message.endswith(": flask.")
    assert by_hand.message.endswith(": requests.")


@pytest.mark.parametrize("note", [b"[]", b"{", b'{"stamp": 3, "brought": {"a": 1}}', b"null"])
def test_a_damaged_note_of_a_build_says_nothing(tmp_path: Path, note: bytes) -> None:
    (tmp_path / ".homeport-build.json").write_bytes(note)
    assert read_build_note(tmp_path) == BuildNote()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", '[project]\ndependencies = ["flask", "requests"]\n'),
        ("requirements.txt", "flask\nwheels/requests-1.0-py3-none-any.whl\n"),
    ],
)
def test_packages_that_a_build_installs_are_not_called_installed_by_hand(
    tmp_path: Path, name: str, text: str
) -> None:
    assert check_site(site(tmp_path, GOOD | {name: text}), name="hello", app_settings={}) == []


def test_packages_that_are_about_to_be_there_count(tmp_path: Path) -> None:
    home = site(
        tmp_path,
        {
            "web.config": CONFIG.replace("app.wsgi_app", "tiny.app"),
            "requirements.txt": "Flask\nrequests\ntiny",
        },
    )
    written(tmp_path, {"next/python3117x64/Lib/site-packages/tiny.py": ""})

    def staged(folder: Path) -> Path:
        aside = tmp_path / "next" / folder.relative_to(home)
        return aside if aside.exists() else folder

    def codes(findings: list[Finding]) -> list[str]:
        return [each.code for each in findings]

    assert codes(check_site(home, name="hello", app_settings={})) == ["check.missing-handler"]
    assert codes(check_site(home, name="hello", app_settings={}, staged=staged)) == []


def test_a_site_is_judged_with_its_settings_and_transforms(tmp_path: Path) -> None:
    home = site(
        tmp_path,
        {"web.config": CONFIG.replace("app.wsgi_app", "gone.app"), "requirements.txt": "Flask\nrequests"},
    )
    written(home, {"site/applicationHost.xdt": "<broken"})
    codes = {each.code: each for each in check_site(home, name="hello", app_settings={})}
    assert codes["check.missing-handler"].severity is Severity.ERROR
    assert codes["webconfig.malformed"].file == "site/applicationHost.xdt"


def test_a_site_without_content_says_only_that(tmp_path: Path) -> None:
    (tmp_path / "site/wwwroot").mkdir(parents=True)
    assert [each.code for each in check_site(tmp_path, name="x", app_settings={})] == ["webconfig.none"]
