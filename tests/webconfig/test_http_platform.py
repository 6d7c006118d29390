"""From <httpPlatform> and its handler to a pool."""

from collections.abc import Mapping

import pytest

from homeport.webconfig import HostingPlan, HttpPool
from homeport.webconfig.plan import ProxyToPool, Refuse

from .sites import codes, compiled, configuration, first, python_site, runtime

DOCUMENTED = rb"""<?xml version="1.0" encoding="utf-8"?>
<configuration>
  <system.webServer>
    <handlers>
      <add name="PythonHandler" path="*" verb="*" modules="httpPlatformHandler" resourceType="Unspecified"/>
    </handlers>
    <httpPlatform processPath="D:\home\Python361x64\python.exe"
                  arguments="D:\home\site\wwwroot\runserver.py --port %HTTP_PLATFORM_PORT%"
                  stdoutLogEnabled="true"
                  stdoutLogFile="D:\home\LogFiles\python.log"
                  startupTimeLimit="60"
                  processesPerApplication="16">
      <environmentVariables>
        <environmentVariable name="SERVER_PORT" value="%HTTP_PLATFORM_PORT%" />
      </environmentVariables>
    </httpPlatform>
  </system.webServer>
</configuration>
"""
HANDLER = '<handlers><add name="h" path="*" verb="*" modules="httpPlatformHandler"/></handlers>'


def site(attributes: str = "", inside: str = "", *, more: str = "") -> str:
    if "processPath" not in attributes:
        attributes += r' processPath="D:\home\Python361x64\python.exe"'
    section = f"<httpPlatform {attributes}>{inside}</httpPlatform>"
    return configuration(f"<system.webServer>{HANDLER}{section}</system.webServer>", more)


def variables(**values: str) -> str:
    entries = "".join(
        f'<environmentVariable name="{name}" value="{value}"/>' for name, value in values.items()
    )
    return f"<environmentVariables>{entries}</environmentVariables>"


def http_pool(plan: HostingPlan) -> HttpPool:
    (only,) = plan.http_pools
    return only


def environment(plan: HostingPlan) -> Mapping[str, str]:
    return dict(http_pool(plan).environment_variables)


def test_the_documented_file_is_a_pool_of_sixteen_processes_without_a_finding() -> None:
    plan = compiled(DOCUMENTED)

    assert plan.findings == ()
    assert http_pool(plan) == HttpPool(
        id=http_pool(plan).id,
        requested=r"D:\home\Python361x64\python.exe",
        program=(
            "/home/python361x64/bin/python",
            "/home/site/wwwroot/runserver.py",
            "--port",
            "%HTTP_PLATFORM_PORT%",
        ),
        runtime_folder="python361x64",
        environment_variables=(("SERVER_PORT", "%HTTP_PLATFORM_PORT%"),),
        processes=16,
        startup_seconds=60,
        stdout_log="LogFiles/python.log",
    )
    action = first(plan)
    assert isinstance(action, ProxyToPool)
    assert (action.pool, action.handler, action.line) == (http_pool(plan).id, "PythonHandler", 5)


def test_the_defaults_are_those_of_the_schema() -> None:
    made = http_pool(compiled(site()))

    assert (made.processes, made.startup_seconds, made.startup_retries) == (1, 120, 10)
    assert (made.rapid_fails_per_minute, made.request_timeout_seconds) == (10, 120)
    assert made.stdout_log is None
    assert made.recycle_files == ()


@pytest.mark.parametrize(
    ("attribute", "field", "value"),
    [
        ('startupTimeLimit="7"', "startup_seconds", 7),
        ('startupRetryCount="0"', "startup_retries", 0),
        ('rapidFailsPerMinute="3"', "rapid_fails_per_minute", 3),
        ('requestTimeout="00:04:00"', "request_timeout_seconds", 240),
        ('processesPerApplication="100"', "processes", 100),
        ('stdoutLogEnabled="true"', "stdout_log", "site/wwwroot/httpplatform-stdout"),
        (r'stdoutLogEnabled="TRUE" stdoutLogFile="..\..\LogFiles\x"', "stdout_log", "LogFiles/x"),
    ],
)
def test_each_attribute_reaches_the_pool(attribute: str, field: str, value: object) -> None:
    plan = compiled(site(attribute))

    assert getattr(http_pool(plan), field) == value
    assert plan.findings == ()


@pytest.mark.parametrize(
    "attribute",
    [
        'startupTimeLimit="3601"',
        'startupRetryCount="101"',
        'rapidFailsPerMinute="-1"',
        'requestTimeout="soon"',
        'requestTimeout="31.00:00:00"',
        'processesPerApplication="0"',
        'processesPerApplication="101"',
        'stdoutLogEnabled="yes"',
        'forwardWindowsAuthToken="1"',
    ],
)
def test_a_value_out_of_its_range_is_answered_as_iis_does(attribute: str) -> None:
    plan = compiled(site(attribute))

    action = first(plan)
    assert isinstance(action, Refuse)
    assert (action.status, action.sub_status, action.code) == (500, 19, "webconfig.invalid-value")
    assert plan.findings[0].line > 0


def test_a_forwarded_windows_token_is_reported_only_where_it_is_asked_for() -> None:
    assert codes(compiled(site('forwardWindowsAuthToken="true"'))) == ["no-windows-sign-in"]
    assert codes(compiled(site('forwardWindowsAuthToken="false"'))) == []


def test_an_asp_net_core_handler_is_answered_with_what_to_write_instead() -> None:
    plan = compiled(
        configuration(
            '<system.webServer><handlers><add name="a" path="*" verb="*" modules="AspNetCoreModuleV2"/></handlers>'
            '<aspNetCore processPath="dotnet" arguments="app.dll"/></system.webServer>'
        )
    )

    assert isinstance(first(plan), Refuse)
    (finding,) = [one for one in plan.findings if one.code == "webconfig.unsupported-handler"]
    assert "httpPlatformHandler" in finding.message


def test_a_handler_without_its_section_is_refused_with_the_reason() -> None:
    plan = compiled(configuration(f"<system.webServer>{HANDLER}</system.webServer>"))

    assert first(plan) == Refuse(status=500, code="webconfig.no-process-path")
    assert plan.http_pools == ()


def test_a_section_without_a_handler_makes_no_pool() -> None:
    plan = compiled(python_site('<system.webServer><httpPlatform processPath="python"/></system.webServer>'))

    assert plan.http_pools == ()


@pytest.mark.parametrize(
    ("process", "disk", "program"),
    [
        ("python", None, ("/home/python361x64/bin/python",)),
        (r"%HOME%\python361x64\python.exe", None, ("/home/python361x64/bin/python",)),
        (r"D:\home\python361x64\Scripts\uvicorn.exe", None, ("/home/python361x64/bin/uvicorn",)),
        ("node", None, ("node",)),
        ("node.exe", None, ("node",)),
        (r"D:\home\site\wwwroot\start.sh", None, ("/bin/bash", "/home/site/wwwroot/start.sh")),
        (
            r".\Start.sh",
            {"/home": ["site"], "/home/site": ["wwwroot"], "/home/site/wwwroot": ["start.sh"]},
            ("/bin/bash", "/home/site/wwwroot/start.sh"),
        ),
        (
            r"D:\home\site\wwwroot\run.py",
            None,
            ("/home/python361x64/bin/python", "/home/site/wwwroot/run.py"),
        ),
        (
            r"D:\home\site\wwwroot\server.exe",
            {"/home": ["site"], "/home/site": ["wwwroot"], "/home/site/wwwroot": ["server"]},
            ("/home/site/wwwroot/server",),
        ),
        ("/usr/bin/env", None, ("/usr/bin/env",)),
    ],
)
def test_a_process_path_finds_its_linux_program(
    process: str, disk: Mapping[str, list[str]] | None, program: tuple[str, ...]
) -> None:
    plan = compiled(site(f'processPath="{process}"'), disk=disk)

    assert http_pool(plan).program == program
    assert plan.findings == ()


def test_a_program_of_a_windows_machine_gives_way_to_the_one_of_the_same_name_here() -> None:
    plan = compiled(site(r'processPath="D:\Program Files\nodejs\node.exe" arguments="server.js"'))

    assert http_pool(plan).program == ("node", "server.js")
    assert codes(plan) == ["other-program"]


@pytest.mark.parametrize("process", [r"D:\home\site\wwwroot\start.cmd", r"\\server\share\x.exe"])
def test_a_program_that_cannot_run_here_is_refused_with_the_reason(process: str) -> None:
    plan = compiled(site(f'processPath="{process}"'))

    assert first(plan) == Refuse(status=500, code="webconfig.unmapped-program")
    assert codes(plan) == ["unmapped-program"]


def test_a_missing_python_is_refused_with_the_command_that_brings_it() -> None:
    plan = compiled(DOCUMENTED, runtimes=())

    assert first(plan) == Refuse(status=500, code="webconfig.missing-runtime")
    assert "homeport extension add hello python361x64" in plan.findings[0].remedy


def test_arguments_are_split_as_windows_does_and_paths_in_them_are_mapped() -> None:
    text = r"&quot;D:\home\site\wwwroot\my app.py&quot; --dir=D:\home\data -x 'a b' %GREETING% %nobody%"

    plan = compiled(site(f'arguments="{text}"'), app_settings={"GREETING": "hi"})

    assert http_pool(plan).program[1:] == (
        "/home/site/wwwroot/my app.py",
        "--dir=/home/data",
        "-x",
        "'a",
        "b'",
        "hi",
        "%nobody%",
    )


def test_an_app_setting_does_not_take_the_place_of_the_port() -> None:
    plan = compiled(DOCUMENTED, app_settings={"http_platform_port": "80"})

    assert http_pool(plan).program[-1] == "%HTTP_PLATFORM_PORT%"


def test_variables_are_expanded_mapped_and_merged_without_case() -> None:
    inside = variables(PYTHONPATH=r"D:\home\site\wwwroot;D:\home\lib", LOG=r"%HOME%\LogFiles\a.log", EMPTY="")

    plan = compiled(site("", inside))

    assert environment(plan) == {
        "PYTHONPATH": "/home/site/wwwroot:/home/lib",
        "LOG": "/home/LogFiles/a.log",
        "EMPTY": "",
    }


def test_a_variable_that_is_there_twice_is_answered_as_iis_does() -> None:
    inside = '<environmentVariables><environmentVariable name="A" value="1"/><environmentVariable name="a" value="2"/></environmentVariables>'

    assert first(compiled(site("", inside))) == Refuse(
        status=500, sub_status=19, code="webconfig.duplicate-key"
    )


def test_a_port_of_ones_own_is_reported_and_left_out() -> None:
    plan = compiled(site("", variables(HTTP_PLATFORM_PORT="5000")))

    assert environment(plan) == {}
    assert codes(plan) == ["own-port"]


def test_files_to_watch_lie_in_the_content_folder() -> None:
    inside = (
        '<recycleOnFileChange><file path="touch.txt"/><file path="D:\\home\\site\\wwwroot\\a\\b.txt"/>'
        '<file path="D:\\home\\data\\c.txt"/></recycleOnFileChange>'
    )

    plan = compiled(site("", inside))

    assert http_pool(plan).recycle_files == ("touch.txt", "a/b.txt")
    assert codes(plan) == ["unmapped-path"]


def test_a_log_outside_the_site_is_reported_and_not_written() -> None:
    plan = compiled(site(r'stdoutLogEnabled="true" stdoutLogFile="C:\Windows\x"'))

    assert http_pool(plan).stdout_log is None
    assert codes(plan) == ["unmapped-path"]


def test_a_changed_command_line_keeps_the_pool_and_another_folder_has_one_of_its_own() -> None:
    one, two = compiled(site('arguments="a.py"')), compiled(site('arguments="b.py"'))
    both = compiled(
        site('arguments="a.py"'),
        folders={
            "api": configuration('<system.webServer><httpPlatform arguments="api.py"/></system.webServer>')
        },
    )

    assert http_pool(one).id == http_pool(two).id
    assert {made.program[-1] for made in both.http_pools} == {"a.py", "api.py"}
    assert len({made.id for made in both.http_pools}) == 2


def test_a_folder_inherits_what_it_does_not_set() -> None:
    plan = compiled(
        site('arguments="a.py" startupTimeLimit="9"', variables(A="1", B="2")),
        folders={
            "api": configuration(
                '<system.webServer><httpPlatform processesPerApplication="2"><environmentVariables>'
                '<clear/><environmentVariable name="C" value="3"/></environmentVariables></httpPlatform></system.webServer>'
            )
        },
    )

    (api,) = [made for made in plan.http_pools if made.processes == 2]
    assert (api.program[-1], api.startup_seconds) == ("a.py", 9)
    assert api.environment_variables == (("C", "3"),)


def test_a_changed_number_is_a_different_plan_for_the_same_pool() -> None:
    assert compiled(site()) != compiled(site('processesPerApplication="2"'))
    assert runtime().folder == http_pool(compiled(site())).runtime_folder
