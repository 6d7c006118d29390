"""The cause that is named for each kind of broken site: its text, its place, what to do."""

import linecache
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.model.finding import Finding, Severity
from homeport.scm.diagnosis.causes import find_causes
from homeport.scm.diagnosis.evidence import AnswerFault, Cause, Evidence, PoolFact, PoolLog, PortNeverOpened
from homeport.scm.diagnosis.tracebacks import parse_traceback
from homeport.scm.failures import Failure

APP = "/home/site/wwwroot/app.py"


def failure(text: str, *, kind: str = "startup", handler: str = "app.wsgi_app") -> Failure:
    return Failure(
        id="0a1b",
        time="2026-01-02T03:04:05+00:00",
        headline="Error occurred",
        traceback=text,
        kind=kind,
        python="3.11.7",
        handler=handler,
        method="GET" if kind == "request" else "",
        path="/page" if kind == "request" else "",
    )


def raised(source: str) -> str:
    """Run a text as the application's file and return the traceback that Python makes of it."""
    linecache.cache[APP] = (len(source), None, source.splitlines(keepends=True), APP)
    with pytest.raises(Exception) as caught:
        exec(compile(source, APP, "exec"), {"__name__": "app"})
    return "".join(traceback.format_exception(caught.value))


def first(evidence: Evidence) -> Cause:
    return find_causes(evidence)[0]


@pytest.mark.parametrize(
    ("source", "code", "headline", "remedy", "place"),
    [
        (
            "import os\nimport yaml_not_there",
            "missing-module",
            "The module 'yaml_not_there' is missing, and no line of requirements.txt brings it.",
            "Add this line to requirements.txt and deploy again: yaml-not-there",
            "app.py:2",
        ),
        (
            "raise ModuleNotFoundError(\"No module named 'cv2'\")",
            "missing-module",
            "The module 'cv2' is missing, and no line of requirements.txt brings it.",
            "Add this line to requirements.txt and deploy again: opencv-python-headless",
            "app.py:1",
        ),
        (
            "raise ModuleNotFoundError(\"No module named 'flask_wtf'\")",
            "not-installed",
            "The module 'flask_wtf' is missing: requirements.txt names it (line 2: flask-wtf==1.2), and it is not installed into python3117x64.",
            "Deploy again without --no-build, or in the console: D:\\home\\python3117x64\\python.exe -m pip install -r requirements.txt",
            "app.py:1",
        ),
        (
            "raise ModuleNotFoundError(\"No module named 'Helper'\")",
            "letter-case",
            "The module 'Helper' is missing; the content has 'helper.py', whose letters differ in case.",
            "Write the import as the file is spelled, or rename the file: 'Helper' and 'helper.py' are two names on Linux.",
            "app.py:1",
        ),
        (
            "import winreg",
            "windows-module",
            "The application imports 'winreg', which exists on Windows only.",
            "Import it only if sys.platform == 'win32', or use what Linux has in its place.",
            "app.py:1",
        ),
        (
            "raise ImportError(\"cannot import name 'escape' from 'jinja2' (x.py)\")",
            "other-version",
            "'jinja2' has no 'escape': its installed version is another than the application was written for.",
            "Pin the version that the application was tested with in requirements.txt: jinja2==…",
            "app.py:1",
        ),
        (
            "from os import no_such_name",
            "other-python",
            "Python's own module 'os' has no 'no_such_name' in Python 3.11.7.",
            None,
            "app.py:1",
        ),
        (
            "raise AttributeError(\"module 'random' has no attribute 'choice'\")",
            "shadowed-module",
            "The site's own 'random.py' hides Python's module 'random', which has 'choice'.",
            "Rename 'random.py'; the site's files go before Python's own.",
            "app.py:1",
        ),
        (
            "import socket\nwith socket.socket() as one, socket.socket() as two:\n"
            "    one.bind(('127.0.0.1', 0))\n    two.bind(one.getsockname())",
            "port",
            "The application wants to listen on a port that another process has.",
            None,
            "app.py:4",
        ),
        (
            "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')",
            "missing-library",
            "A compiled package needs the system's library libGL.so.1, which the machine does not have.",
            None,
            "app.py:1",
        ),
        (
            "x = 1\nprint 'hello'\n",
            "syntax",
            "Python 3.11.7 cannot read a file: Missing parentheses in call to 'print'. Did you mean print(...)?.",
            "The file is Python 2, which is not offered here; convert it with 2to3 or pyupgrade.",
            "app.py:2",
        ),
        (
            "import os\nkey = os.environ['SECRET_KEY']\n",
            "missing-setting",
            "The application needs the setting 'SECRET_KEY', which the site does not have.",
            "homeport settings set hello SECRET_KEY=VALUE",
            "app.py:2",
        ),
        (
            "import os\nkey = os.environ['database_url']\n",
            "setting-case",
            "The application reads the setting 'database_url'; the site has 'DATABASE_URL', and letter case counts on Linux.",
            "homeport settings set hello database_url=VALUE",
            "app.py:2",
        ),
        (
            "open('D:\\\\home\\\\site\\\\data.txt')",
            "windows-path",
            "The application opens 'D:\\home\\site\\data.txt', a Windows path: on Linux that is a file of this very name.",
            None,
            "app.py:1",
        ),
        (
            "open('/home/site/wwwroot/none.json')",
            "missing-file",
            "The application opens '/home/site/wwwroot/none.json', which is not there.",
            "Deploy the file, or correct its path; letter case counts on Linux.",
            "app.py:1",
        ),
        (
            "raise PermissionError(13, 'Permission denied', '/etc/shadow')",
            "permission",
            "The application may not open '/etc/shadow'.",
            "A site may write below /home and /tmp only; choose a path there.",
            "app.py:1",
        ),
        (
            "import socket\nsocket.create_connection(('127.0.0.1', 1))",
            "no-connection",
            "The application could not reach a service it needs: [Errno 111] Connection refused.",
            None,
            "app.py:2",
        ),
        (
            "import sqlite3\nsqlite3.connect(':memory:').execute('select * from auth_user')",
            "missing-table",
            "The database has no table 'auth_user'.",
            None,
            "app.py:2",
        ),
        (
            "import sqlite3\nsqlite3.connect('/nonexistent/db').execute('select 1')",
            "database-file",
            "SQLite cannot open its database file: its folder does not exist, or the path is one of Windows.",
            None,
            "app.py:2",
        ),
        (
            "class ImproperlyConfigured(Exception): pass\n"
            "raise ImproperlyConfigured('Requested setting DATABASES, but settings are not configured. "
            "You must either define the environment variable DJANGO_SETTINGS_MODULE')",
            "missing-setting",
            "Django does not know its settings: DJANGO_SETTINGS_MODULE is not set.",
            None,
            "web.config",
        ),
        (
            "raise AttributeError(\"module 'app' has no attribute 'wsgi_app'\")",
            "handler-object",
            "WSGI_HANDLER is 'app.wsgi_app', and the module 'app' has no 'wsgi_app'.",
            "Correct WSGI_HANDLER in web.config, or define 'wsgi_app' in 'app'.",
            "web.config",
        ),
        ("raise MemoryError", "memory", "The application ran out of memory while it was starting.", None, "app.py:1"),
        (
            "def make():\n    raise ValueError('no such mode')\nmake()",
            "exception",
            "The application raised ValueError: no such mode while it was starting.",
            None,
            "app.py:2",
        ),
    ],
)  # fmt: skip
def test_a_traceback_is_told_as_its_cause(
    source: str, code: str, headline: str, remedy: str | None, place: str
) -> None:
    evidence = Evidence(
        site="hello",
        failures=(failure(raised(source)),),
        requirements=((1, "flask"), (2, "flask-wtf==1.2")),
        python_folder="python3117x64",
        settings=frozenset({"DATABASE_URL"}),
        content=frozenset({"app.py", "helper.py", "random.py", "web.config"}),
    )
    cause = first(evidence)
    assert (cause.code, cause.headline) == (code, headline)
    assert ":".join(str(part) for part in (cause.file, cause.line) if part) == place
    assert cause.remedy
    assert remedy is None or cause.remedy == remedy
    assert dict(cause.evidence)["failure"] == "/failures/0a1b"


def test_a_handler_that_names_no_module_is_a_fault_of_the_setting() -> None:
    text = (
        'Traceback (most recent call last):\n  File "/opt/x/handler.py", line 30, in _resolve\n    raise\n'
        'ValueError: "App.wsgi_app" could not be imported: Traceback (most recent call last):\n'
        '  File "/opt/x/handler.py", line 30, in _resolve\n    module = importlib.import_module(module_name)\n'
        "ModuleNotFoundError: No module named 'App'\n\n"
    )
    evidence = Evidence(
        site="hello", failures=(failure(text, handler="App.wsgi_app"),), content=frozenset({"app.py"})
    )
    cause = first(evidence)
    assert cause.headline == (
        "WSGI_HANDLER is 'App.wsgi_app', and there is no module 'App': there is 'app.py', whose letters differ in case."
    )
    assert cause.file == "web.config"


@pytest.mark.parametrize(
    ("reason", "code", "headline"),
    [
        (
            "the application was not ready 90 s after its start",
            "start-time-limit",
            "The application was not ready 90 s after its start and was ended (requestTimeout).",
        ),
        (
            "a request took longer than requestTimeout (10 s)",
            "request-time-limit",
            "A request took longer than requestTimeout allows (10 s), and its process was ended.",
        ),
        (
            "a request was silent longer than activityTimeout (70 s)",
            "request-time-limit",
            "A request took longer than activityTimeout allows (70 s), and its process was ended.",
        ),
        (
            "the process ended before it was ready (exit code 7)",
            "process-ended",
            "The process ended while it was starting: exit code 7.",
        ),
        ("the process ended (signal 11)", "process-ended", "The process ended in a request: signal 11."),
        ("The interpreter is gone.", "pool", "The interpreter is gone."),
    ],
)
def test_a_pools_reason_is_told_with_the_last_lines(reason: str, code: str, headline: str) -> None:
    lines = ("starting", f'  File "{APP}", line 2 in <module>', f"[homeport] worker killed: {reason}.")
    evidence = Evidence(
        site="hello",
        pools=(PoolFact(id="wsgi-1", state="broken", reason=reason),),
        logs=(PoolLog(pool="wsgi-1", file="LogFiles/Application/wsgi-1.log", lines=lines),),
    )
    cause = first(evidence)
    assert (cause.code, cause.headline) == (code, headline)
    assert "starting" in dict(cause.evidence)["last output"]
    assert cause.remedy


@pytest.mark.parametrize(
    ("exit_code", "line", "code", "headline", "remedy"),
    [
        (
            2,
            "/home/p/bin/python: can't open file '/home/site/wwwroot/serve.py': [Errno 2] No such file or directory",
            "missing-script",
            r"The command line names 'D:\home\site\wwwroot\serve.py', which does not exist.",
            "correct the path",
        ),
        (
            127,
            "/home/python3117x64/bin/uvicorn: No such file or directory",
            "missing-program",
            r"The program 'D:\home\python3117x64\Scripts\uvicorn.exe' does not exist.",
            r"Add what brings 'uvicorn' to requirements.txt and deploy again, or: D:\home\python3117x64\python.exe -m pip install uvicorn",
        ),
        (
            127,
            "gunicorn2: No such file or directory",
            "missing-program",
            "The program 'gunicorn2' does not exist.",
            "processPath",
        ),
        (
            127,
            "/home/site/wwwroot/%JAVA%/java.exe: No such file or directory",
            "missing-program",
            r"The program 'D:\home\site\wwwroot\%JAVA%\java.exe' does not exist.",
            "A variable in processPath is not set here",
        ),
        (
            127,
            "bash: line 1: exec: gunicorn: not found",
            "missing-program",
            "The program 'gunicorn' does not exist.",
            "add that to requirements.txt",
        ),
        (
            127,
            "/home/site/wwwroot/run: Permission denied",
            "missing-program",
            r"The program 'D:\home\site\wwwroot\run' is no program that can be run.",
            "processPath",
        ),
        (
            1,
            "/home/python3117x64/bin/python: No module named flask_wtf",
            "not-installed",
            "The module 'flask_wtf' is missing: requirements.txt names it (line 2: flask-wtf==1.2), and it is not installed.",
            "Deploy again without --no-build",
        ),
        (
            1,
            "/home/python3117x64/bin/python: No module named uvicorn",
            "missing-module",
            "The module 'uvicorn' is missing, and no line of requirements.txt brings it.",
            "Add this line to requirements.txt and deploy again: uvicorn",
        ),
        (
            3,
            'ERROR:    Error loading ASGI app. Attribute "application" not found in module "app".',
            "server-application",
            'The server does not find the application: Attribute "application" not found in module "app".',
            "MODULE:NAME",
        ),
        (
            4,
            "Failed to find attribute 'application' in 'app'.",
            "server-application",
            "The server does not find the application: Failed to find attribute 'application' in 'app'.",
            "MODULE:NAME",
        ),
        (1, "settings.ini: No such file or directory", "process-ended", None, "the last lines of its output"),
        (0, "done", "process-ended", None, "stay in the foreground"),
    ],
)
def test_a_program_that_does_not_begin_is_told_by_its_last_words(
    exit_code: int, line: str, code: str, headline: str | None, remedy: str
) -> None:
    reason = f"the process ended before it listened (exit code {exit_code})"
    cause = first(
        Evidence(
            site="hello",
            pools=(PoolFact(id="http-1", state="broken", reason=reason),),
            logs=(PoolLog(pool="http-1", file="x", lines=("begin", line, "[homeport] Process '0' failed.")),),
            requirements=((2, "flask-wtf==1.2"),),
            python_folder="python3117x64",
        )
    )
    assert cause.code == code
    assert headline is None or cause.headline == headline
    assert remedy in cause.remedy
    assert line in dict(cause.evidence)["last output"]


def test_what_an_earlier_process_wrote_is_no_cause_of_this_end() -> None:
    lines = (
        "/home/p/bin/python: No module named uvicorn",
        "[homeport] Process '0' failed.",
        "no licence",
        "[homeport] Process '1' failed.",
        "[homeport] nothing is started for 60 s.",
    )
    pool = PoolFact(id="http-1", state="broken", reason="the process ended before it listened (exit code 1)")
    cause = first(
        Evidence(site="hello", pools=(pool,), logs=(PoolLog(pool="http-1", file="x", lines=lines),))
    )
    assert cause.code == "process-ended"


def test_a_process_that_wrote_nothing_is_not_shown_with_the_words_of_an_earlier_one() -> None:
    ended = "[homeport] Process '{}' failed. Port = 30123: the process ended before it listened ({})."
    own = PoolLog(pool="http-1", file="LogFiles/out_17.log", lines=("starting", "done"))
    log = (ended.format(0, "exit code 0"), "done", ended.format(1, "signal 11"))
    pool = PoolFact(id="http-1", state="idle", reason="the process ended before it listened (signal 11)")
    for logs in (
        (PoolLog(pool="http-1", file="x", lines=log), own),
        (PoolLog(pool="http-1", file="x", lines=("No module named uvicorn", log[0], log[2])),),
    ):
        cause = first(Evidence(site="hello", pools=(pool,), logs=logs))
        assert (cause.headline, cause.code) == (
            "The process ended while it was starting: signal 11.",
            "process-ended",
        )
        assert "last output" not in dict(cause.evidence) or len(logs) == 1

    both = (PoolLog(pool="http-1", file="x", lines=log[:2]), own)
    cause = first(Evidence(site="hello", pools=(pool,), logs=both))
    assert dict(cause.evidence)["last output"] == "starting\ndone"


def test_a_process_that_the_kernel_killed_for_memory_is_told_with_the_limit() -> None:
    pool = PoolFact(id="wsgi-1", state="broken", reason="the process ended (signal 9)")
    known = Evidence(site="hello", pools=(pool,), memory_limit=512 * 2**20, memory_kills=1)
    assert first(known).headline == (
        "The process was killed in a request: the site used more memory than it may have (512 MB)."
    )
    assert first(known).remedy.endswith("homeport site limits hello --memory 1024")
    unknown = Evidence(site="hello", pools=(pool,), memory_limit=512 * 2**20)
    assert first(unknown).headline == "The process ended in a request: signal 9."


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("closed", "closed the connection"),
        ("timeout", "requestTimeout"),
        ("unreadable", "no HTTP"),
        ("too-large", "more headers than fit"),
    ],
)
def test_an_answer_that_nginx_could_not_pass_on_is_told(kind: str, said: str) -> None:
    fault = AnswerFault(kind=kind, time="2026-01-02T03:04:05+00:00", request="GET /x HTTP/1.1", said="words")
    cause = first(Evidence(site="hello", pools=(PoolFact(id="http-1", state="running"),), answer_fault=fault))
    assert said in cause.headline
    assert cause.time == fault.time
    assert ("request", "GET /x HTTP/1.1") in cause.evidence


@pytest.mark.parametrize(
    ("told", "headline"),
    [
        (
            "TypeError: app() missing 1 required positional argument: 'send'",
            "WSGI_HANDLER is 'app.wsgi_app', which is an ASGI application, and a FastCGI handler runs WSGI applications.",
        ),
        (
            "TypeError: 'dict' object is not callable",
            "WSGI_HANDLER is 'app.wsgi_app', which is no WSGI application: 'dict' object is not callable.",
        ),
        (
            "AssertionError: start_response has not yet been called",
            "WSGI_HANDLER is 'app.wsgi_app', which answered otherwise than WSGI demands: start_response has not yet been called.",
        ),
        ("Something else went wrong", "Something else went wrong."),
    ],
)
def test_a_failure_without_a_traceback_is_told_with_its_page(told: str, headline: str) -> None:
    cause = first(Evidence(site="hello", failures=(failure(told, kind="request"),)))
    assert cause.headline == headline
    assert dict(cause.evidence)["failure"] == "/failures/0a1b"


def test_the_line_where_a_killed_process_was_is_shown() -> None:
    lines = (
        "[homeport] worker killed: the application was not ready 10 s after its start.",
        "Current thread 0x1 (most recent call first):",
        f'  File "{APP}", line 2 in <module>',
        '  File "<frozen importlib._bootstrap>", line 241 in _call',
    )
    evidence = Evidence(
        site="hello",
        pools=(
            PoolFact(
                id="wsgi-1", state="broken", reason="the application was not ready 10 s after its start"
            ),
        ),
        logs=(PoolLog(pool="wsgi-1", file="LogFiles/Application/wsgi-1.log", lines=lines),),
    )
    assert dict(first(evidence).evidence)["where it was"] == "app.py:2 in <module>"


def test_a_port_that_was_never_opened_is_named() -> None:
    fact = PortNeverOpened(port=30123, seconds=60, command="python runserver.py")
    evidence = Evidence(
        site="hello", pools=(PoolFact(id="http-1", state="failed", reason="x", port_never_opened=fact),)
    )
    assert first(evidence).headline == (
        "The process (python runserver.py) did not listen on port 30123 within 60 s."
    )
    assert "HTTP_PLATFORM_PORT" in first(evidence).remedy


def test_where_a_server_stood_that_never_listened_is_told() -> None:
    fact = PortNeverOpened(port=30123, seconds=60, standing_at="app.py:3 in connect")
    pool = PoolFact(id="http-1", state="failed", reason="x", port_never_opened=fact)
    cause = first(Evidence(site="hello", pools=(pool,)))
    assert dict(cause.evidence)["where it was"] == "app.py:3 in connect"
    assert cause.remedy.startswith("Look at where it was")


def test_a_cause_in_web_config_has_its_line() -> None:
    places = {"http-1": ("web.config", 8), "WSGI_HANDLER": ("web.config", 3)}
    fact = PortNeverOpened(port=30123, seconds=60)
    pool = PoolFact(id="http-1", state="failed", reason="x", port_never_opened=fact)
    failed = failure("TypeError: 'dict' object is not callable", kind="request")
    pools = (pool, PoolFact(id="wsgi-1", state="running"))
    causes = find_causes(Evidence(site="hello", pools=pools, failures=(failed,), places=places))
    assert [cause.line for cause in causes] == [8, 3]


def test_a_port_that_was_opened_elsewhere_is_told() -> None:
    fact = PortNeverOpened(port=30123, seconds=60, instead="it listens on port 5555")
    pool = PoolFact(id="http-1", state="failed", reason="x", port_never_opened=fact)
    assert first(Evidence(site="hello", pools=(pool,))).headline == (
        "The process did not listen on port 30123 within 60 s. It listens on port 5555."
    )


def test_a_web_server_that_ends_with_a_traceback_is_explained_by_it() -> None:
    lines = (
        "Starting",
        *raised("import os\nimport uvicorn_not_there").splitlines(),
        "[homeport] Process '1' failed.",
    )
    evidence = Evidence(
        site="hello",
        pools=(
            PoolFact(id="http-1", state="idle", reason="the process ended before it listened (exit code 1)"),
        ),
        logs=(PoolLog(pool="http-1", file="LogFiles/python.log", lines=lines),),
    )
    cause = first(evidence)
    assert cause.headline == (
        "The module 'uvicorn_not_there' is missing, and no line of requirements.txt brings it."
    )
    assert (cause.file, cause.line) == ("app.py", 2)
    assert "Starting" in dict(cause.evidence)["last output"]


def test_a_failed_start_is_told_once_and_as_an_earlier_one_where_a_later_start_ended_otherwise() -> None:
    reason = "the process ended before it was ready (exit code {})"
    failed = (failure(raised("import no_such_thing")),)

    def headlines(code: int) -> list[str]:
        pools = (PoolFact(id="wsgi-1", state="running", reason=reason.format(code)),)
        return [each.headline for each in find_causes(Evidence(site="hello", pools=pools, failures=failed))]

    missing = "The module 'no_such_thing' is missing, and no line of requirements.txt brings it."
    assert headlines(0) == [f"The old version keeps serving, the new one does not start: {missing}"]
    assert headlines(5) == [
        "The process ended while it was starting: exit code 5.",
        f"Before the last change or restart: {missing}",
    ]


def test_failures_of_a_handler_that_a_web_server_has_taken_the_place_of_are_no_cause() -> None:
    failed = (failure("TypeError: 'dict' object is not callable", kind="request"), failure(raised("1 / 0")))
    server = PoolFact(id="http-1", state="running")
    worker = PoolFact(id="wsgi-1", state="running")
    assert find_causes(Evidence(site="hello", pools=(server,), failures=failed)) == []
    assert find_causes(Evidence(site="hello", pools=(server, worker), failures=failed)) != []


@pytest.mark.parametrize("named", ["key.py", "./key.py", "/home/site/wwwroot/key.py"])
def test_a_script_that_the_command_line_names_relatively_is_the_sites_own(named: str) -> None:
    lines = (
        "Traceback (most recent call last):",
        f'  File "{named}", line 2, in <module>',
        '    key = os.environ["SECRET_KEY"]',
        '  File "/usr/lib/python3.6/os.py", line 669, in __getitem__',
        "    raise KeyError(key) from None",
        "KeyError: 'SECRET_KEY'",
        "[homeport] Process '1' failed.",
    )
    reason = "the process ended before it listened (exit code 1)"
    cause = first(
        Evidence(
            site="hello",
            pools=(PoolFact(id="http-1", state="idle", reason=reason),),
            logs=(PoolLog(pool="http-1", file="x", lines=lines),),
        )
    )
    assert (cause.file, cause.line) == ("key.py", 2)
    assert dict(cause.evidence)["line"] == 'key.py:2: key = os.environ["SECRET_KEY"]'


def test_a_failure_of_a_process_that_is_gone_is_said_to_be_old() -> None:
    pools = (PoolFact(id="wsgi-1", state="idle"),)
    failed = (failure(raised("import no_such_thing")),)
    assert first(Evidence(site="hello", pools=pools, failures=failed)).headline == (
        "Before the last change or restart: The module 'no_such_thing' is missing, and no line of requirements.txt brings it."
    )


def test_an_error_in_the_configuration_goes_before_an_old_failure() -> None:
    finding = Finding(
        severity=Severity.ERROR,
        code="webconfig.missing-runtime",
        message="This site has no Python.",
        file="web.config",
        line=9,
        remedy="homeport extension add hello python3117x64",
    )
    evidence = Evidence(
        site="hello", findings=(finding,), failures=(failure(raised("import no_such_thing")),)
    )
    assert [cause.code for cause in find_causes(evidence)] == ["webconfig.missing-runtime", "missing-module"]


def test_a_stopped_site_is_said_to_be_stopped() -> None:
    assert first(Evidence(site="hello", stopped=True)).remedy == "homeport site start hello"


def test_an_old_failure_to_start_is_no_cause_while_the_site_runs() -> None:
    running = (PoolFact(id="wsgi-1", state="running"),)
    failed = (failure(raised("import no_such_thing")),)
    assert find_causes(Evidence(site="hello", pools=running, failures=failed)) == []


def test_a_new_version_that_does_not_start_is_told_apart_from_a_site_that_is_down() -> None:
    reason = "the application could not be started; see its newest failure"
    pools = (PoolFact(id="wsgi-1", state="running", reason=reason),)
    failed = (failure(raised("import no_such_thing")),)
    assert first(Evidence(site="hello", pools=pools, failures=failed)).headline == (
        "The old version keeps serving, the new one does not start: "
        "The module 'no_such_thing' is missing, and no line of requirements.txt brings it."
    )


def test_a_failing_request_is_named_with_its_address() -> None:
    text = raised("raise KeyError('user')")
    evidence = Evidence(site="hello", failures=(failure(text, kind="request"),))
    assert first(evidence).headline == "The application raised KeyError: 'user' in GET /page."


def test_a_site_without_a_problem_has_no_cause() -> None:
    assert find_causes(Evidence(site="hello")) == []


@given(st.text(max_size=300))
def test_any_text_of_a_site_can_be_read(text: str) -> None:
    parse_traceback(text)
    parse_traceback(f'Traceback (most recent call last):\n  File "x", line 1, in y\n{text}\nError: {text}')
    find_causes(
        Evidence(site="x", failures=(failure(text),), pools=(PoolFact(id="", state="", reason=text),))
    )


def test_a_long_text_is_read_in_no_time() -> None:
    parse_traceback('  File "x", line 1\n' * 200_000)
    parse_traceback('"' * 400_000)
    parse_traceback("a" * 400_000 + ": ")
