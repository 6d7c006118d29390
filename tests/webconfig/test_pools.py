"""What a FastCGI handler comes to: interpreter, settings, limits, environment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.model.finding import Severity
from homeport.webconfig.plan import FastCgi, PoolKind, Refuse, StderrMode

from .sites import (
    PYTHON,
    codes,
    compiled,
    configuration,
    errors,
    first,
    handler,
    handlers,
    pool,
    python_site,
    runtime,
    settings,
)

PATH, _, ARGUMENTS = PYTHON.partition("|")
DISK = {
    "/home": ["site", "python361x64", "LogFiles"],
    "/home/site": ["wwwroot"],
    "/home/site/wwwroot": ["Lib", "php-cgi", "app.py", "tool.exe"],
    "/home/site/wwwroot/Lib": [],
    "/home/LogFiles": [],
}


def with_processor(text: str, *more: str) -> str:
    entry = handler(more=f'modules="FastCgiModule" scriptProcessor="{text}"')
    return configuration(settings(WSGI_HANDLER="app.app"), handlers(entry), *more)


def fast_cgi(attributes: str = "", *, key: str = PYTHON, inside: str = "") -> str:
    path, _, arguments = key.partition("|")
    return (
        f'<system.webServer><fastCgi><application fullPath="{path}" arguments="{arguments}" {attributes}>{inside}'
        "</application></fastCgi></system.webServer>"
    )


def mapped(**values: str) -> dict[str, str]:
    text = configuration(settings(**{"WSGI_HANDLER": "a.b", **values}), handlers(handler()))
    return dict(pool(compiled(text, disk=DISK, app_settings={"PORTAL": r"D:\home\portal"})).app_settings)


def test_the_documented_web_config_runs_on_the_sites_python() -> None:
    plan = compiled(python_site())

    found = pool(plan)
    assert plan.findings == ()
    assert first(plan) == FastCgi(pool=found.id, handler="PythonHandler", file="web.config", line=1)
    assert (found.kind, found.runtime_folder) == (PoolKind.WSGI, "python361x64")
    assert found.program == ("/home/python361x64/bin/python",)
    assert found.app_settings == (("WSGI_HANDLER", "app.wsgi_app"),)


def test_an_extension_has_the_limits_that_it_registered_for_itself() -> None:
    found = pool(compiled(python_site()))

    assert (found.max_instances, found.idle_timeout_seconds) == (16, 21600)
    assert (found.activity_timeout_seconds, found.request_timeout_seconds) == (70, 90)
    assert (found.instance_max_requests, found.signal_before_terminate_seconds) == (10_000_000, 60)
    assert (found.queue_length, found.rapid_fails_per_minute) == (1000, 10)


def test_another_path_has_the_limits_of_iis() -> None:
    found = pool(compiled(with_processor(r"D:\Python34\python.exe|D:\Python34\Scripts\wfastcgi.py")))

    assert (found.max_instances, found.idle_timeout_seconds, found.instance_max_requests) == (0, 300, 200)
    assert found.signal_before_terminate_seconds == 0


def test_an_application_of_the_same_pair_sets_limits_and_leaves_the_others() -> None:
    text = python_site(
        fast_cgi('maxInstances="3" requestTimeout="600" stderrMode="ignoreAndReturn200"', key=PYTHON.upper())
    )

    found = pool(compiled(text))

    assert (found.max_instances, found.request_timeout_seconds, found.idle_timeout_seconds) == (3, 600, 21600)
    assert found.stderr_mode is StderrMode.IGNORE_AND_RETURN_200


def test_an_application_of_another_pair_changes_nothing() -> None:
    text = python_site(fast_cgi('maxInstances="3"', key=r"D:\home\x\python.exe|y"))

    assert pool(compiled(text)).max_instances == 16


@pytest.mark.parametrize(
    "attributes",
    [
        'maxInstances="x"',
        'maxInstances="-1"',
        'maxInstances="10001"',
        'requestTimeout="9"',
        'idleTimeout=""',
        'stderrMode="Maybe"',
        'instanceMaxRequests="0"',
        'flushNamedPipe="1"',
        'queueLength="٣"',
    ],
)
def test_a_wrong_limit_is_answered_with_500_19(attributes: str) -> None:
    plan = compiled(python_site(fast_cgi(attributes)))

    assert first(plan) == Refuse(status=500, sub_status=19, code="webconfig.invalid-value")


def test_the_same_application_twice_is_an_error() -> None:
    twice = fast_cgi().replace(
        "<fastCgi>", f'<fastCgi><application fullPath="{PATH}" arguments="{ARGUMENTS}"/>'
    )

    assert "duplicate-key" in codes(compiled(python_site(twice)))


def test_fast_cgi_in_a_folder_is_passed_over_with_a_warning() -> None:
    plan = compiled(python_site(), folders={"x": configuration(fast_cgi('maxInstances="3"'))})

    assert pool(plan).max_instances == 16
    assert codes(plan) == ["passed-over"]


def test_environment_variables_are_mapped_and_python_home_is_left_out() -> None:
    inside = (
        "<environmentVariables>"
        r'<environmentVariable name="PYTHONHOME" value="D:\home\python361x64"/>'
        r'<environmentVariable name="PYTHONPATH" value="D:\home\site\wwwroot;%HOME%\lib"/>'
        r'<environmentVariable name="DB" value="D:\home\data\db.sqlite3"/>'
        r'<environmentVariable name="MODE" value="a;D:\home"/>'
        "</environmentVariables>"
    )
    plan = compiled(python_site(fast_cgi(inside=inside)))

    assert dict(pool(plan).environment_variables) == {
        "PYTHONPATH": "/home/site/wwwroot:/home/lib",
        "DB": "/home/data/db.sqlite3",
        "MODE": r"a;D:\home",
    }
    assert [(found.severity, found.code) for found in plan.findings] == [
        (Severity.INFO, "webconfig.python-home")
    ]


def test_two_spellings_of_a_pair_are_one_pool() -> None:
    upper = handler("B", path="b", more=f'modules="FastCgiModule" scriptProcessor="{PYTHON.upper()}"')

    plan = compiled(configuration(settings(WSGI_HANDLER="a.b"), handlers(handler("A", path="a"), upper)))

    assert len(plan.pools) == 1


def test_a_pool_is_equal_when_only_lines_and_comments_change() -> None:
    before = compiled(python_site())
    after = compiled(f"<!-- note -->\n\n{python_site()}")

    assert before.pools == after.pools
    assert before != after


def test_an_identity_is_short_and_safe_in_a_file_name() -> None:
    identity = pool(compiled(python_site())).id

    assert identity.replace("-", "").isalnum()
    assert len(identity) <= 20


# Settings, as wfastcgi reads them


def test_settings_keep_their_order_their_duplicates_and_their_empty_values() -> None:
    text = configuration(
        '<appSettings><add key=" A " value="1"/><remove key="A"/><clear/><add key="" value="x"/></appSettings>',
        '<location path="elsewhere"><appSettings><add key="A" value=""/></appSettings></location>',
        settings(WSGI_HANDLER="a.b"),
        handlers(handler()),
    )
    plan = compiled(text)

    assert pool(plan).app_settings == (("A", "1"), ("A", ""), ("WSGI_HANDLER", "a.b"))
    assert codes(plan) == ["passed-over", "passed-over"]


def test_settings_of_folders_are_not_read() -> None:
    plan = compiled(python_site(), folders={"x": configuration(settings(B="2"))})

    assert dict(pool(plan).app_settings) == {"WSGI_HANDLER": "app.wsgi_app"}
    assert codes(plan) == ["passed-over"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"D:\home\site\wwwroot", "/home/site/wwwroot"),
        (r"D:\home\site\wwwroot;D:\home\lib;", "/home/site/wwwroot;/home/lib"),
        (r"%HOME%\site\wwwroot\lib", "/home/site/wwwroot/Lib"),
        (r"%SystemDrive%\home\x", "/home/x"),
        (r"%PORTAL%\lib", "/home/portal/lib"),
        (r"%MINE%\lib", "/home/mine/lib"),
        (r"%WEBSITE_SITE_NAME%\lib", "%WEBSITE_SITE_NAME%/lib"),
        ("lib", "/home/site/wwwroot/Lib"),
        (r".\lib;..\shared", "/home/site/wwwroot/Lib;/home/site/shared"),
        (r"D:\home\python361x64\Lib\site-packages", "/home/python361x64/Lib/site-packages"),
        (r"D:\Python34\Lib\site-packages\x", "/home/python361x64/Lib/site-packages/x"),
        ("/srv/lib", "/srv/lib"),
        ("", ""),
    ],
)
def test_a_pythonpath_is_mapped_item_by_item(text: str, expected: str) -> None:
    assert mapped(pythonpath=text, MINE=r"D:\home\mine")["pythonpath"] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"D:\home\LogFiles\wfastcgi.log", "/home/LogFiles/wfastcgi.log"),
        (r"%HOME%\LOGFILES\x.log", "/home/LogFiles/x.log"),
        ("log.txt", "/home/site/wwwroot/log.txt"),
        ("", ""),
    ],
)
def test_a_log_path_is_mapped(text: str, expected: str) -> None:
    assert mapped(WSGI_LOG=text)["WSGI_LOG"] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"D:\home\data\db.sqlite3", "/home/data/db.sqlite3"),
        (r"D:\local\Temp", "/tmp"),
        (r"sqlite:///D:\home\db", r"sqlite:///D:\home\db"),
        (r"D:\Windows\system32", r"D:\Windows\system32"),
        (r"%NAME%\x", r"%NAME%\x"),
        (r"a\b\c", r"a\b\c"),
        ("/static/", "/static/"),
        ("100%", "100%"),
    ],
)
def test_another_setting_is_mapped_only_where_all_of_it_is_a_path_of_the_site(
    text: str, expected: str
) -> None:
    assert mapped(OTHER=text)["OTHER"] == expected


def test_a_path_without_a_counterpart_stays_and_is_told() -> None:
    plan = compiled(configuration(settings(WSGI_HANDLER="a.b", WSGI_LOG=r"E:\x.log"), handlers(handler())))

    assert dict(pool(plan).app_settings)["WSGI_LOG"] == r"E:\x.log"
    assert codes(plan) == ["unmapped-path"]


def test_the_virtual_environment_proxy_is_skipped() -> None:
    text = configuration(
        settings(
            WSGI_HANDLER="ptvs_virtualenv_proxy.get_venv_handler()",
            WSGI_ALT_VIRTUALENV_HANDLER="site.app",
            WSGI_ALT_VIRTUALENV_ACTIVATE_THIS=r"D:\home\site\wwwroot\env\Scripts\python.exe",
        ),
        handlers(handler()),
    )
    plan = compiled(text)

    assert dict(pool(plan).app_settings)["WSGI_HANDLER"] == "site.app"
    assert codes(plan) == ["virtualenv-proxy"]


def test_a_site_without_a_wsgi_handler_is_told() -> None:
    assert codes(compiled(configuration(handlers(handler())))) == ["no-wsgi-handler"]
    assert codes(compiled(configuration(handlers(handler())), app_settings={"WSGI_HANDLER": "a.b"})) == []


def test_the_letter_case_of_a_settings_name_does_not_matter() -> None:
    plan = compiled(configuration(settings(Wsgi_Handler="site.app", Own="1"), handlers(handler())))

    assert dict(pool(plan).app_settings) == {
        "Wsgi_Handler": "site.app",
        "Own": "1",
        "WSGI_HANDLER": "site.app",
    }
    assert codes(plan) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, r".*((\.py)|(\.config))$"),
        ({"WSGI_RESTART_FILE_REGEX": ""}, ""),
        ({"WSGI_RESTART_FILE_REGEX": r".*\.txt"}, r".*\.txt"),
    ],
)
def test_what_restarts_the_pool(values: dict[str, str], expected: str) -> None:
    text = configuration(settings(WSGI_HANDLER="a.b", **values), handlers(handler()))

    assert pool(compiled(text, app_settings={"WSGI_RESTART_FILE_REGEX": "ignored"})).restart_regex == expected


# Programs


@pytest.mark.parametrize(
    ("processor", "program"),
    [
        (r"php-cgi.exe", ("php-cgi",)),
        (
            r"D:\home\site\wwwroot\php-cgi.exe|-c D:\home\site\php.ini",
            ("/home/site/wwwroot/php-cgi", "-c", "/home/site/php.ini"),
        ),
        (r"D:\home\site\wwwroot\TOOL.exe", ("/home/site/wwwroot/tool.exe",)),
        (r"/usr/bin/php-cgi", ("/usr/bin/php-cgi",)),
    ],
)
def test_another_program_is_run_by_its_linux_command_line(processor: str, program: tuple[str, ...]) -> None:
    found = pool(compiled(with_processor(processor), disk=DISK))

    assert (found.kind, found.program, found.runtime_folder) == (PoolKind.PROGRAM, program, None)
    assert (found.app_settings, found.restart_regex) == ((), "")


def test_a_script_that_speaks_fastcgi_runs_on_the_sites_python() -> None:
    found = pool(
        compiled(with_processor(r"D:\home\python361x64\python.exe|-u D:\home\site\wwwroot\App.py"), disk=DISK)
    )

    assert found.kind is PoolKind.PROGRAM
    assert found.program == ("/home/python361x64/bin/python", "-u", "/home/site/wwwroot/app.py")
    assert found.runtime_folder == "python361x64"


@pytest.mark.parametrize(
    "processor",
    [
        r"D:\home\python361x64\Scripts\wfastcgi.exe",
        r"&quot;D:\home\python361x64\python.exe&quot;|&quot;D:\home\python361x64\wfastcgi.py&quot;",
        r"%HOME%\python361x64\python.exe|%HOME%\python361x64\wfastcgi.py",
        r"C:\home\PYTHON361X64\Python.EXE|C:\home\PYTHON361X64\WFASTCGI.PY",
    ],
)
def test_spellings_of_our_worker(processor: str) -> None:
    found = pool(compiled(with_processor(processor)))

    assert (found.kind, found.runtime_folder) == (PoolKind.WSGI, "python361x64")


@pytest.mark.parametrize(
    ("processor", "code"),
    [
        ("", "no-script-processor"),
        ("|x", "no-script-processor"),
        ("%INTERPRETERPATH%|%WFASTCGIPATH%", "unset-token"),
        (r"D:\Program Files (x86)\PHP\php-cgi.exe", "unmapped-program"),
        (r"\\server\share\x.exe", "unmapped-program"),
    ],
)
def test_a_program_that_is_not_there_refuses_and_says_so(processor: str, code: str) -> None:
    plan = compiled(with_processor(processor))

    assert first(plan) == Refuse(status=500, code=f"webconfig.{code}")
    assert codes(plan) == [code]
    assert plan.pools == ()


# Which Python (decision 4)


def test_the_folder_itself_is_preferred_without_regard_to_case() -> None:
    plan = compiled(python_site(), runtimes=(runtime("python3117x64", "3.11.7"), runtime("Python361X64")))

    assert pool(plan).runtime_folder == "Python361X64"
    assert plan.findings == ()


def test_the_only_python_stands_in_with_a_warning() -> None:
    plan = compiled(python_site(), runtimes=(runtime("python3117x64", "3.11.7"),))

    assert pool(plan).runtime_folder == "python3117x64"
    (finding,) = plan.findings
    assert finding.severity is Severity.WARNING
    assert finding.message == (
        r"web.config names Python 3.6 at D:\home\Python361x64, which this site does not have; "
        "it runs on 3.11.7 from python3117x64."
    )
    assert finding.remedy == "To get it: homeport extension add hello python361x64"


def test_the_only_one_of_the_same_minor_version_is_preferred() -> None:
    plan = compiled(
        python_site(), runtimes=(runtime("python3117x64", "3.11.7"), runtime("python368x64", "3.6.8"))
    )

    assert pool(plan).runtime_folder == "python368x64"
    assert codes(plan) == ["other-runtime"]


@pytest.mark.parametrize(
    "runtimes",
    [(), (runtime("python3117x64", "3.11.7"), runtime("python3130x64", "3.13.0"))],
)
def test_no_python_or_several_others_refuse_with_the_command_that_helps(runtimes: tuple[object, ...]) -> None:
    plan = compiled(python_site(), runtimes=runtimes)  # type: ignore[arg-type]  # parametrised values

    assert first(plan) == Refuse(status=500, code="webconfig.missing-runtime")
    (error,) = errors(plan)
    assert error.remedy == "Install it: homeport extension add hello python361x64"
    assert (error.file, error.line) == ("web.config", 1)


@pytest.mark.parametrize(
    ("program", "warned"),
    [
        (r"D:\Python27\python.exe", True),
        (r"D:\Python34\python.exe", True),
        (r"D:\home\site\wwwroot\env\Scripts\python.exe", True),
        (r"D:\home\tools\py\python.exe", True),
        (r"C:\Python36-32\python.exe", True),
        (r"D:\home\Python35\python.exe", True),
        ("python.exe", False),
        ("python", False),
    ],
)
def test_every_other_way_to_name_a_python_takes_the_only_one(program: str, warned: bool) -> None:
    plan = compiled(with_processor(f"{program}|wfastcgi.py"), runtimes=(runtime("python3117x64", "3.11.7"),))

    assert pool(plan).runtime_folder == "python3117x64"
    assert codes(plan) == (["other-runtime"] if warned else [])
    none = compiled(with_processor(f"{program}|wfastcgi.py"), runtimes=())
    assert "homeport extension add hello python3" in errors(none)[0].remedy


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0\"<&'"), max_size=60))
def test_no_script_processor_makes_compiling_fail(text: str) -> None:
    plan = compiled(with_processor(text), disk=DISK)

    assert len(plan.pools) <= 1


@given(
    st.dictionaries(
        st.sampled_from(["PYTHONPATH", "WSGI_LOG", "X"]), st.text(alphabet=r"D:\home%;/.é \\", max_size=30)
    )
)
def test_no_value_makes_compiling_fail(values: dict[str, str]) -> None:
    compiled(configuration(settings(**values), handlers(handler())), disk=DISK)


@pytest.mark.parametrize(
    ("written", "monitored"),
    [
        (r"D:\home\site\wwwroot\restart.txt", "restart.txt"),
        (r"%HOME%\site\wwwroot\conf\a.ini", "conf/a.ini"),
        (r"..\site\wwwroot\restart.txt", "restart.txt"),
        ("", ""),
    ],
)
def test_the_file_that_monitorchangesto_names_replaces_the_processes(written: str, monitored: str) -> None:
    plan = compiled(python_site(fast_cgi(f'monitorChangesTo="{written}"')), disk=DISK)

    assert (pool(plan).monitored_file, codes(plan)) == (monitored, [])


@pytest.mark.parametrize("written", [r"D:\home\data\x.txt", r"E:\x.txt", "python.exe", r"\\server\x"])
def test_a_file_that_cannot_be_watched_is_told(written: str) -> None:
    plan = compiled(python_site(fast_cgi(f'monitorChangesTo="{written}"')), disk=DISK)

    assert (pool(plan).monitored_file, codes(plan)) == ("", ["unmapped-path"])
