"""Building a Python site while it is deployed, with real interpreters (Kudu reference §12.5)."""

import base64
import hashlib
import io
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import SITE, ScmProcess

WEB_CONFIG = r"""<?xml version="1.0"?>
<configuration><system.webServer><handlers>
  <add name="PythonHandler" path="*" verb="*" modules="FastCgiModule" resourceType="Unspecified"
       scriptProcessor="D:\home\Python3117x64\python.exe|D:\home\Python3117x64\wfastcgi.py"/>
</handlers></system.webServer></configuration>
"""
BUILD = "[config]\nSCM_DO_BUILD_DURING_DEPLOYMENT = true\n"


def wheel(name: str, files: dict[str, str]) -> bytes:
    """Make a pure wheel, version 1.0."""
    metadata = f"{name}-1.0.dist-info"
    contents = {
        **files,
        f"{metadata}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{metadata}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        lines = []
        for path, text in contents.items():
            made.writestr(path, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            lines.append(f"{path},sha256={digest},{len(text.encode())}")
        made.writestr(f"{metadata}/RECORD", "\n".join([*lines, f"{metadata}/RECORD,,"]) + "\n")
    return buffer.getvalue()


TINY = wheel("tiny", {"tiny.py": "NAME = 'tiny'\n"})
SCRIPTED = wheel(
    "tiny",
    {
        "tiny.py": "import sys\ndef tell():\n    print(sys.prefix)\n",
        "tiny-1.0.dist-info/entry_points.txt": "[console_scripts]\ntell = tiny:tell\n",
    },
)
DJANGO = wheel("django", {"django/__init__.py": ""})


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with pip, made once."""
    folder = tmp_path_factory.mktemp("runtime") / "python"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder


@pytest.fixture
def install(environment: Path) -> Callable[..., Path]:
    """Put a runtime into a site, as a folder below its home."""

    def put(scm: ScmProcess, name: str = "python3117x64") -> Path:
        return Path(shutil.copytree(environment, scm.home / name, symlinks=True))

    return put


def imported(runtime: Path, module: str) -> bool:
    line = [runtime / "bin/python", "-c", f"import {module}"]
    return subprocess.run(line, capture_output=True, check=False).returncode == 0


def files(**more: "str | bytes") -> "dict[str, bytes | str]":
    return {
        ".deployment": BUILD,
        "app.py": "",
        "web.config": WEB_CONFIG,
        "requirements.txt": "./wheels/tiny-1.0-py3-none-any.whl\n",
        "wheels/tiny-1.0-py3-none-any.whl": TINY,
        **more,
    }


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_requirements_go_into_the_runtime_that_web_config_names(
    start_scm: Callable[..., ScmProcess], install: Callable[..., Path], installer: str
) -> None:
    scm = start_scm(HOMEPORT_BUILD_INSTALLER=installer)
    other, named = install(scm, "python3130x64"), install(scm)

    scm.deploy(files())

    record = scm.latest()
    log = scm.log_text(record["id"])
    assert record["status"] == 4, log
    assert f"Installing requirements.txt with {installer} into Python" in log
    assert imported(named, "tiny")
    assert not imported(other, "tiny")
    assert list(named.glob("lib/*/site-packages/__pycache__/tiny.*.pyc"))
    if installer == "uv":
        entries = scm.client.get(f"/api/deployments/{record['id']}/log").json()
        command = next(entry for entry in entries if entry["message"] == "Running deployment command...")
        said = {child["message"]: child["type"] for child in scm.client.get(command["details_url"]).json()}
        assert next(kind for text, kind in said.items() if "+ tiny==1.0" in text) == 0


def test_a_package_that_changes_without_changing_its_size_runs_its_new_code(
    scm: ScmProcess, install: Callable[..., Path]
) -> None:
    runtime = install(scm)
    said = []
    for name in ("one", "two", "one"):
        package = wheel("tiny", {"tiny.py": f"NAME = '{name}'\n"})
        scm.deploy(files(**{"wheels/tiny-1.0-py3-none-any.whl": package}))
        line = [runtime / "bin/python", "-B", "-c", "import tiny; print(tiny.NAME, tiny.__cached__)"]
        said.append(subprocess.run(line, capture_output=True, text=True, check=True).stdout.split())

    assert [name for name, _ in said] == ["one", "two", "one"]
    assert all(Path(cached).is_file() for _, cached in said)
    assert "Byte code: 1 compiled" in scm.log_text(scm.latest()["id"])


def test_settings_of_pip_that_uv_does_not_read_choose_pip(
    start_scm: Callable[..., ScmProcess], install: Callable[..., Path]
) -> None:
    scm = start_scm(PIP_FIND_LINKS="/nowhere")
    install(scm)

    scm.deploy(files())

    assert "Installing requirements.txt with pip into" in scm.log_text(scm.latest()["id"])
    assert scm.latest()["status"] == 4


def test_a_runtime_that_is_not_there_is_stood_in_for_by_the_only_one_with_a_warning(
    scm: ScmProcess, install: Callable[..., Path]
) -> None:
    runtime = install(scm, "python3120x64")

    scm.deploy(files())

    log = scm.log_text(scm.latest()["id"])
    assert scm.latest()["status"] == 4, log
    assert "which this site does not have" in log
    assert f"homeport extension add {SITE} python3117x64" in log
    assert imported(runtime, "tiny")


def test_a_site_without_python_fails_and_is_told_how_to_get_one(scm: ScmProcess) -> None:
    scm.deploy(files())

    record = scm.latest()
    assert record["status"] == 3
    assert f"homeport extension add {SITE} python3117x64" in record["status_text"]
    assert f"homeport extension add {SITE} python3117x64" in scm.log_text(record["id"])


def test_requirements_that_cannot_be_installed_fail_the_deployment_with_pips_words(
    scm: ScmProcess, install: Callable[..., Path]
) -> None:
    install(scm)

    scm.deploy(files(**{"requirements.txt": "./wheels/none-1.0-py3-none-any.whl\n"}))

    record = scm.latest()
    log = scm.log_text(record["id"])
    assert record["status"] == 3
    assert "pip could not install requirements.txt" in log
    assert "none-1.0-py3-none-any.whl" in log
    entries = scm.client.get(f"/api/deployments/{record['id']}/log").json()
    assert entries[-1]["message"] == "Deployment Failed."
    assert (
        next(entry for entry in entries if entry["message"] == "Running deployment command...")["type"] == 2
    )


def test_a_marker_skips_the_build(scm: ScmProcess) -> None:
    scm.deploy(files(**{".skipPythonDeployment": ""}))

    assert scm.latest()["status"] == 4
    assert "Found .skipPythonDeployment" in scm.log_text(scm.latest()["id"])


def test_a_package_without_requirements_is_only_copied(scm: ScmProcess) -> None:
    scm.deploy({".deployment": BUILD, "app.py": ""})

    assert scm.latest()["status"] == 4
    assert "no requirements.txt" in scm.log_text(scm.latest()["id"])


def test_a_web_config_for_the_version_takes_the_place_of_web_config(
    scm: ScmProcess, install: Callable[..., Path]
) -> None:
    install(scm)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"

    scm.deploy(files(**{f"web.{version}.config": WEB_CONFIG + "<!-- for the version -->"}))

    assert "for the version" in (scm.web_root / "web.config").read_text()


@pytest.mark.parametrize("skipped", [True, False])
def test_django_collects_its_static_files_unless_told_not_to(
    scm: ScmProcess, install: Callable[..., Path], skipped: bool
) -> None:
    install(scm)
    more: dict[str, str | bytes] = {
        "requirements.txt": "./wheels/django-1.0-py3-none-any.whl\n",
        "wheels/django-1.0-py3-none-any.whl": DJANGO,
        "manage.py": "import sys\nopen('static/done.txt', 'w').write(' '.join(sys.argv[1:]))\nsys.exit(3)\n",
    }

    scm.deploy(files(**more, **({".skipDjango": ""} if skipped else {})))

    log = scm.log_text(scm.latest()["id"])
    assert scm.latest()["status"] == 4, log  # collectstatic may fail
    assert (scm.web_root / "static/done.txt").exists() is not skipped
    if not skipped:
        assert (scm.web_root / "static/done.txt").read_text() == "collectstatic --noinput --clear"
        assert "collectstatic failed" in log


def test_collecting_static_files_leaves_their_web_config(
    start_scm: Callable[..., ScmProcess], install: Callable[..., Path]
) -> None:
    scm = start_scm()
    install(scm)
    clear = "import shutil\nshutil.rmtree('static')\nopen('cleared.txt', 'w').close()\n"

    scm.deploy(
        files(
            **{
                "requirements.txt": "./wheels/django-1.0-py3-none-any.whl\n",
                "wheels/django-1.0-py3-none-any.whl": DJANGO,
                "manage.py": clear,
                "static/web.config": "<configuration/>",
                "static/old.css": "",
            }
        )
    )

    assert (scm.web_root / "cleared.txt").exists(), scm.log_text(scm.latest()["id"])
    assert (scm.web_root / "static/web.config").read_text() == "<configuration/>"
    assert not (scm.web_root / "static/old.css").exists()


def test_output_of_the_build_comes_line_by_line_into_the_log(
    start_scm: Callable[..., ScmProcess], install: Callable[..., Path]
) -> None:
    scm = start_scm(HOMEPORT_BUILD_INSTALLER="pip")
    runtime = install(scm)
    pip = runtime / "bin/python"
    pip.unlink()
    pip.write_text("#!/bin/sh\necho one\necho two >&2\nprintf 'three without end'\nexit 7\n")
    pip.chmod(0o755)

    scm.deploy(files())

    log = scm.log_text(scm.latest()["id"])
    for line in ("  one", "  two", "  three without end"):
        assert line in log.splitlines()
    assert "exit code 7" in log


def test_a_build_that_hangs_is_ended_with_everything_it_started(
    start_scm: Callable[..., ScmProcess], install: Callable[..., Path]
) -> None:
    scm = start_scm(HOMEPORT_BUILD_INSTALLER="pip")
    runtime = install(scm)
    scm.client.post("/api/settings", json={"SCM_COMMAND_IDLE_TIMEOUT": "1"})
    pip = runtime / "bin/python"
    pip.unlink()
    pip.write_text("#!/bin/sh\necho so far\nsleep 71.3 &\nsleep 71.3\n")
    pip.chmod(0o755)

    scm.deploy(files())

    log = scm.log_text(scm.latest()["id"])
    assert "  so far" in log.splitlines()
    assert "was aborted due to no output nor CPU activity for 1 seconds" in log
    assert subprocess.run(["pgrep", "-f", "sleep 71.3$"], capture_output=True, check=False).stdout == b""


def test_what_the_web_config_comes_to_is_in_the_log_of_any_deployment(scm: ScmProcess) -> None:
    scm.deploy({"web.config": WEB_CONFIG, "sub/web.config": "<configuration><odd/></configuration>"})

    record = scm.latest()
    entries = scm.client.get(f"/api/deployments/{record['id']}/log").json()
    command = next(entry for entry in entries if entry["message"] == "Running deployment command...")
    said = {child["message"]: child["type"] for child in scm.client.get(command["details_url"]).json()}
    assert record["status"] == 4
    assert any(
        kind == 2 and "web.config" in text and "extension add" in text for text, kind in said.items()
    ), said
    assert any("sub/web.config:1" in text and "odd" in text for text in said), said


def test_app_settings_count_for_what_the_web_config_comes_to(
    start_scm: Callable[..., ScmProcess], install: Callable[..., Path]
) -> None:
    without, scm = start_scm(), start_scm(WSGI_HANDLER="app.wsgi_app")
    for site in (without, scm):
        install(site)
        site.deploy({"web.config": WEB_CONFIG})

    assert "have WSGI_HANDLER" in without.log_text(without.latest()["id"])
    assert "have WSGI_HANDLER" not in scm.log_text(scm.latest()["id"])


def plain(version: str) -> dict[str, "str | bytes"]:
    """Requirements that name packages only, and wheels beside them for an installer without a network."""
    return {"requirements.txt": f"tiny=={version}\n"}


@pytest.fixture
def offline(start_scm: Callable[..., ScmProcess], install: Callable[..., Path], tmp_path: Path) -> ScmProcess:
    """A site with a Python, whose pip finds `tiny` 1.0 and `django` 1.0 in a folder and nothing elsewhere."""
    (tmp_path / "tiny-1.0-py3-none-any.whl").write_bytes(TINY)
    (tmp_path / "django-1.0-py3-none-any.whl").write_bytes(DJANGO)
    scm = start_scm(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path))
    install(scm)
    return scm


def test_an_asgi_server_that_the_build_installs_is_not_called_missing(
    offline: ScmProcess, tmp_path: Path
) -> None:
    for name in ("fastapi", "uvicorn"):
        (tmp_path / f"{name}-1.0-py3-none-any.whl").write_bytes(wheel(name, {f"{name}/__init__.py": ""}))
    application: dict[str, str | bytes] = {
        ".deployment": BUILD,
        "main.py": "import fastapi\napp = fastapi.FastAPI()\n",
    }

    offline.deploy(application | {"requirements.txt": "fastapi\n"})
    without = offline.log_text(offline.latest()["id"])
    offline.deploy(application | {"requirements.txt": "fastapi\nuvicorn\n"})
    installed = offline.log_text(offline.latest()["id"])

    assert without.count("has no server for ASGI applications") == 1
    assert "has no server" not in installed
    assert installed.count("It runs under uvicorn") == 1


def test_nothing_is_installed_when_nothing_changed(offline: ScmProcess) -> None:
    offline.deploy(files(**plain("1.0")))
    first = offline.log_text(offline.latest()["id"])
    offline.deploy(files(**plain("1.0"), **{"app.py": "changed"}))
    second = offline.log_text(offline.latest()["id"])
    shutil.rmtree(next((offline.home / "python3117x64").glob("lib/*/site-packages/tiny-1.0.dist-info")))
    offline.deploy(files(**plain("1.0")))
    third = offline.log_text(offline.latest()["id"])

    assert "Installing requirements.txt" in first
    assert "the packages are unchanged: nothing is installed" in second
    assert "Installing requirements.txt" in third


def test_the_log_tells_what_earlier_builds_brought_from_what_somebody_installed(
    offline: ScmProcess, tmp_path: Path
) -> None:
    runtime = offline.home / "python3117x64"
    (runtime / "Lib").symlink_to(next(runtime.glob("lib/python3*")))
    (tmp_path / "mine-1.0-py3-none-any.whl").write_bytes(wheel("mine", {"mine.py": ""}))
    offline.deploy(files(**plain("1.0")))
    pip = [runtime / "bin/python", "-m", "pip", "install", "-q", "--no-index"]
    line = [*pip, "--find-links", tmp_path, "mine"]
    subprocess.run(line, check=True)
    offline.deploy(files(**{"requirements.txt": "django\n"}))

    log = offline.log_text(offline.latest()["id"])
    assert "by earlier deployments, and in no requirements file now: tiny." in log
    assert "Installed by hand into python3117x64 and in no requirements file: mine." in log


def test_a_build_that_fails_changes_no_package(offline: ScmProcess) -> None:
    offline.deploy(files(**plain("1.0")))
    before = sorted(str(path) for path in (offline.home / "python3117x64").rglob("*"))

    offline.deploy(files(**{"requirements.txt": "django\nnone-such==5\n"}))

    assert offline.latest()["status"] == 3
    assert sorted(str(path) for path in (offline.home / "python3117x64").rglob("*")) == before


def test_rolling_back_brings_the_packages_back_too(offline: ScmProcess) -> None:
    runtime = offline.home / "python3117x64"
    offline.deploy(files(**plain("1.0")))
    older = offline.latest()["id"]
    offline.deploy(files(**{"requirements.txt": "django\n"}))
    line = [runtime / "bin/python", "-m", "pip", "uninstall", "-y", "-q", "tiny"]
    subprocess.run(line, check=True)
    assert (imported(runtime, "tiny"), imported(runtime, "django")) == (False, True)

    difference = offline.client.get(f"/api/homeport/deployments/{older}/diff").json()["packages"]
    offline.client.put(f"/api/deployments/{older}")

    assert difference == {"added": [], "removed": ["django"], "changed": []}
    log = offline.log_text(older)
    assert offline.latest()["id"] == older
    assert "The packages are those that this deployment was made with." in log
    assert (imported(runtime, "tiny"), imported(runtime, "django")) == (True, False)


def test_programs_that_a_build_installs_start_the_python_of_the_site(offline: ScmProcess) -> None:
    script = {"tiny.py": "def main():\n    import sys\n    print(sys.prefix)\n"}
    package = wheel(
        "tiny", {**script, "tiny-1.0.dist-info/entry_points.txt": "[console_scripts]\ntiny = tiny:main\n"}
    )

    offline.deploy(files(**{"wheels/tiny-1.0-py3-none-any.whl": package}))

    runtime = offline.home / "python3117x64"
    done = subprocess.run([runtime / "bin/tiny"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(runtime)
    assert list((offline.home / "data/.homeport/switch").glob("next")) == []


def test_commands_run_before_and_after_the_build(
    start_scm: Callable[..., ScmProcess], install: Callable[..., Path]
) -> None:
    scm = start_scm(
        PRE_BUILD_COMMAND="echo before> before.txt", POST_BUILD_COMMAND="copy before.txt after.txt"
    )
    install(scm)

    scm.deploy(files())

    assert scm.latest()["status"] == 4, scm.log_text(scm.latest()["id"])
    assert (scm.web_root / "after.txt").read_text().strip() == "before"


def test_a_pyproject_file_says_what_is_required(offline: ScmProcess) -> None:
    content = files(
        **{"pyproject.toml": '[project]\nname = "site"\nversion = "1"\ndependencies = ["tiny"]\n'}
    )
    del content["requirements.txt"]

    offline.deploy(content)

    assert offline.latest()["status"] == 4, offline.log_text(offline.latest()["id"])
    assert imported(offline.home / "python3117x64", "tiny")


def test_a_requirement_that_names_a_file_is_installed_every_time(
    scm: ScmProcess, install: Callable[..., Path]
) -> None:
    runtime = install(scm)
    scm.deploy(files())
    another = "django-1.0-py3-none-any.whl"
    scm.deploy(files(**{"requirements.txt": f"./{another}\n", another: DJANGO}))
    assert imported(runtime, "django"), scm.log_text(scm.latest()["id"])


class TestVirtualEnvironment:
    """Packages go into a virtual environment of the content, which a setting names."""

    @pytest.fixture
    def site(self, start_scm: Callable[..., ScmProcess], install: Callable[..., Path]) -> ScmProcess:
        scm = start_scm(HOMEPORT_VIRTUAL_ENVIRONMENT="antenv")
        install(scm)
        return scm

    def test_it_takes_its_place_with_the_content_and_a_build_that_fails_changes_nothing(
        self, site: ScmProcess
    ) -> None:
        site.deploy(files(**{"wheels/tiny-1.0-py3-none-any.whl": SCRIPTED}))

        log = site.log_text(site.latest()["id"])
        assert site.latest()["status"] == 4, log
        assert "Creating the virtual environment antenv of Python" in log
        environment = site.web_root / "antenv"
        assert imported(environment, "tiny")
        assert not imported(site.home / "python3117x64", "tiny")
        ran = subprocess.run([environment / "bin/tell"], capture_output=True, text=True, check=True)
        assert ran.stdout.strip() == str(environment)
        assert (environment / "Scripts/tell").samefile(environment / "bin/tell")

        before = sorted(path.relative_to(site.web_root) for path in site.web_root.rglob("*"))

        site.deploy(files(**{"requirements.txt": "./wheels/tiny-1.0-py3-none-any.whl\n./none.whl\n"}))

        assert site.latest()["status"] == 3, site.log_text(site.latest()["id"])
        after = sorted(path.relative_to(site.web_root) for path in site.web_root.rglob("*"))
        assert [path for path in after if "__pycache__" not in path.parts] == [
            path for path in before if "__pycache__" not in path.parts
        ]
        assert imported(site.web_root / "antenv", "tiny")

    def test_it_comes_back_with_its_deployment_and_one_of_another_kind_is_made_anew(
        self, site: ScmProcess
    ) -> None:
        site.deploy(files())
        first = site.latest()["id"]
        uploaded = {"antenv/pyvenv.cfg": "home = C:\\Python36", "antenv/Scripts/python.exe": "MZ"}
        second = {"requirements.txt": "./wheels/django-1.0-py3-none-any.whl\n"}
        site.deploy(
            files(**second, **uploaded, **{"wheels/django-1.0-py3-none-any.whl": DJANGO}), clean="true"
        )
        assert site.latest()["status"] == 4, site.log_text(site.latest()["id"])
        environment = site.web_root / "antenv"
        assert imported(environment, "django")
        assert not imported(environment, "tiny")

        site.client.put(f"/api/deployments/{first}")

        log = site.log_text(first)
        assert "The packages are those that this deployment was made with." in log
        assert imported(environment, "tiny")
        assert not imported(environment, "django")

    def test_a_folder_of_something_else_is_never_its_place(self, site: ScmProcess) -> None:
        (site.web_root / "antenv").mkdir()
        (site.web_root / "antenv/upload.txt").write_text("of the site")
        for more in ({}, {"antenv/page.html": "of the package"}):
            site.deploy(files(**more))
            assert site.latest()["status"] == 3
            assert "no virtual environment: choose another name" in site.latest()["status_text"]
        assert (site.web_root / "antenv/upload.txt").read_text() == "of the site"

    def test_a_setting_that_names_no_folder_fails_the_build_and_says_so(
        self, start_scm: Callable[..., ScmProcess], install: Callable[..., Path]
    ) -> None:
        scm = start_scm(HOMEPORT_VIRTUAL_ENVIRONMENT="../out")
        install(scm)
        scm.deploy(files())
        assert scm.latest()["status"] == 3
        assert "HOMEPORT_VIRTUAL_ENVIRONMENT is '../out'" in scm.latest()["status_text"]
