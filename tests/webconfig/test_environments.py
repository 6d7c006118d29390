"""Which virtual environment of the content a site's Python runs in."""

import pytest

from homeport.webconfig.environments import SETTING, wanted_environment

from .sites import codes, compiled, configuration, handler, handlers, pool, python_site, runtime, settings

RUNTIMES = (runtime(), runtime("python3117x64", "3.11.7"))


def disk(name: str = "antenv", minor: str = "3.6", **changed: list[str]) -> dict[str, list[str]]:
    root = f"/home/site/wwwroot/{name}"
    return {
        "/home": ["site", "python361x64"],
        "/home/site": ["wwwroot"],
        "/home/site/wwwroot": [name],
        root: ["bin", "lib", "pyvenv.cfg"],
        f"{root}/bin": ["python", "uvicorn"],
        f"{root}/lib": [f"python{minor}"],
        **changed,
    }


def named(processor: str, **more: str) -> str:
    entry = handler(more=f'modules="FastCgiModule" scriptProcessor="{processor}"')
    return configuration(settings(**{"WSGI_HANDLER": "app.app", **more}), handlers(entry))


def test_a_setting_puts_the_python_of_web_config_into_the_environment() -> None:
    plan = compiled(python_site(), disk=disk(), app_settings={SETTING: "antenv"})

    found = pool(plan)
    assert found.program == ("/home/site/wwwroot/antenv/bin/python",)
    assert (found.runtime_folder, found.python_folder) == ("python361x64", "site/wwwroot/antenv")
    assert plan.findings == ()


@pytest.mark.parametrize(
    "there",
    [
        {},
        disk(minor="3.11"),
        disk("other"),
        disk(**{"/home/site/wwwroot/antenv/bin": []}),
        disk(**{"/home/site/wwwroot/antenv": ["Scripts", "Lib", "pyvenv.cfg"]}),
    ],
)
def test_an_environment_that_does_not_run_here_is_not_used(there: dict[str, list[str]]) -> None:
    if "/home/site/wwwroot/antenv" in there and "bin" not in there["/home/site/wwwroot/antenv"]:
        del there["/home/site/wwwroot/antenv/bin"]
    found = pool(compiled(python_site(), disk=there, app_settings={SETTING: "antenv"}))
    assert found.program == ("/home/python361x64/bin/python",)


def test_an_environment_that_web_config_names_is_used_where_it_runs_here() -> None:
    env = r"D:\home\site\wwwroot\ENV\Scripts\python.exe|D:\home\site\wwwroot\wfastcgi.py"

    plan = compiled(named(env), disk=disk("env", "3.11"), runtimes=RUNTIMES)

    assert pool(plan).program == ("/home/site/wwwroot/env/bin/python",)
    assert pool(plan).runtime_folder == "python3117x64"
    assert plan.findings == ()
    assert codes(compiled(named(env), disk={})) == ["other-runtime"]


def test_the_proxy_of_visual_studio_is_not_missed_where_its_environment_runs_here() -> None:
    text = named(
        r"D:\Python34\python.exe|D:\Python34\Scripts\wfastcgi.py",
        WSGI_HANDLER="ptvs_virtualenv_proxy.get_venv_handler()",
        WSGI_ALT_VIRTUALENV_HANDLER="app.app",
        WSGI_ALT_VIRTUALENV_ACTIVATE_THIS=r"D:\home\site\wwwroot\env\Scripts\python.exe",
    )

    plan = compiled(text, disk=disk("env", "3.11"), runtimes=RUNTIMES)

    assert pool(plan).program == ("/home/site/wwwroot/env/bin/python",)
    assert dict(pool(plan).app_settings)["WSGI_HANDLER"] == "app.app"
    assert plan.findings == ()


@pytest.mark.parametrize(
    ("process", "arguments", "program"),
    [
        (r"D:\home\python361x64\Scripts\uvicorn.exe", "", "/home/site/wwwroot/antenv/bin/uvicorn"),
        (r"D:\home\site\wwwroot\run.py", "", "/home/site/wwwroot/antenv/bin/python"),
        ("gunicorn", "", "gunicorn"),
    ],
)
def test_web_servers_run_in_the_environment_too(process: str, arguments: str, program: str) -> None:
    entry = handler(more='modules="httpPlatformHandler"')
    section = f'<system.webServer><httpPlatform processPath="{process}" arguments="{arguments}"/></system.webServer>'

    plan = compiled(configuration(handlers(entry), section), disk=disk(), app_settings={SETTING: "antenv"})

    assert plan.http_pools[0].program[0] == program
    assert plan.http_pools[0].python_folder == "site/wwwroot/antenv"


@pytest.mark.parametrize("text", ["..", "a/b", "a\\b", ".", "/x", "a b", "x" * 65, "-m"])
def test_a_setting_that_names_no_folder_of_the_content_names_nothing(text: str) -> None:
    assert wanted_environment({SETTING: text}) is None
    found = pool(compiled(python_site(), disk=disk(), app_settings={SETTING: text}))
    assert found.program == ("/home/python361x64/bin/python",)
