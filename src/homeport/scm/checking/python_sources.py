"""Windows-only code in an application's Python files, found by reading their syntax (IIS reference §10.5)."""

import ast
import re
import warnings
from dataclasses import dataclass, field

from homeport.model.finding import Finding, Severity

WINDOWS_MODULES = frozenset(
    {
        "_msi", "_winapi", "_winreg", "comtypes", "msilib", "msvcrt", "nt", "perfmon", "pythoncom", "pythonwin",
        "pywintypes", "pywin32_system32", "servicemanager", "win32api", "win32clipboard", "win32com",
        "win32con", "win32console", "win32cred", "win32crypt", "win32event", "win32evtlog", "win32evtlogutil",
        "win32file", "win32gui", "win32inet", "win32job", "win32lz", "win32net", "win32pdh", "win32pdhutil", "win32pipe",
        "win32print", "win32process", "win32profile", "win32ras", "win32security", "win32service", "win32serviceutil",
        "win32timezone", "win32trace", "win32transaction", "win32ts", "win32ui", "win32wnet", "winerror", "winioctlcon",
        "winpty", "winreg", "winsound", "winxpgui", "wmi",
    }
)  # fmt: skip
"""Top-level modules that only Windows has: CPython's own and those of well-known Windows-only distributions."""
_ATTRIBUTES = {
    ("os", "startfile"): "os.startfile",
    ("asyncio", "WindowsSelectorEventLoopPolicy"): "asyncio.WindowsSelectorEventLoopPolicy",
    ("asyncio", "WindowsProactorEventLoopPolicy"): "asyncio.WindowsProactorEventLoopPolicy",
    ("asyncio", "ProactorEventLoop"): "asyncio.ProactorEventLoop",
    ("ctypes", "windll"): "ctypes.windll",
    ("ctypes", "oledll"): "ctypes.oledll",
    ("ctypes", "WinDLL"): "ctypes.WinDLL",
    ("signal", "CTRL_C_EVENT"): "signal.CTRL_C_EVENT",
    ("signal", "CTRL_BREAK_EVENT"): "signal.CTRL_BREAK_EVENT",
    ("subprocess", "STARTUPINFO"): "subprocess.STARTUPINFO",
    ("subprocess", "CREATE_NO_WINDOW"): "subprocess.CREATE_NO_WINDOW",
}
_PATH = re.compile(r"(?i)[cd]:[\\/](?:home|local|python\d+)(?:[\\/]|\Z)")
_DRIVER = re.compile(
    r"(?i)\{(SQL Server(?: Native Client [\d.]+)?|Microsoft Access Driver[^}]*)\}|\A(SQL Server Native Client [\d.]+)\Z"
)
_GUARDS = ("platform", "os.name", "TYPE_CHECKING", "WINDOWS", "sys.getwindowsversion")
MOST_FINDINGS = 20
"""Findings of one file."""


def check_source(source: bytes, *, file: str) -> list[Finding]:
    """Say what in a Python file works on Windows only; code that looks where it runs first is left alone."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        return [_unreadable(error, source, file=file)]
    except (RecursionError, MemoryError):
        return []
    visitor = _Visitor(file)
    try:
        visitor.visit(tree)
    except RecursionError:
        return visitor.findings
    return visitor.findings[:MOST_FINDINGS]


@dataclass(slots=True)
class _Visitor(ast.NodeVisitor):
    file: str
    findings: list[Finding] = field(default_factory=list)
    guarded: bool = False
    later: bool = False

    def visit_Try(self, node: ast.Try) -> None:
        self._visit_guarded(node.body)
        for other in (*node.handlers, *node.orelse, *node.finalbody):
            self.visit(other)

    def visit_If(self, node: ast.If) -> None:
        test = ast.unparse(node.test)
        if any(guard in test for guard in _GUARDS):
            self._visit_guarded([*node.body, *node.orelse])
        else:
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        outer, self.later = self.later, True
        self.generic_visit(node)
        self.later = outer

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def visit_Import(self, node: ast.Import) -> None:
        for name in node.names:
            self._imported(name.name, node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level == 0 and node.module:
            self._imported(node.module, node)
            for name in node.names:
                self._used(node.module, name.name, node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name):
            self._used(node.value.id, node.attr, node)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if not isinstance(node.value, str) or self.guarded:
            return
        if len(node.value) < 260 and "\n" not in node.value and _PATH.match(node.value):
            self._note(
                Severity.WARNING,
                "windows-path",
                f"The text '{node.value[:120]}' is a Windows path; Python opens it as a file of that very name.",
                node,
                remedy="Build it from os.environ['HOME'], or read it from an app setting: those are translated.",
            )
        elif driver := _DRIVER.search(node.value[:4096]):
            self._note(
                Severity.WARNING,
                "windows-driver",
                f"The database driver '{driver[1] or driver[2]}' is one of Windows.",
                node,
                remedy="Name one that is installed here, such as {ODBC Driver 18 for SQL Server}, or use pymssql.",
            )

    def _visit_guarded(self, nodes: "list[ast.stmt]") -> None:
        outer, self.guarded = self.guarded, True
        for node in nodes:
            self.visit(node)
        self.guarded = outer

    def _imported(self, name: str, node: ast.stmt) -> None:
        top = name.partition(".")[0]
        if top not in WINDOWS_MODULES or self.guarded:
            return
        when = "when this function runs" if self.later else "when this file is imported"
        self._note(
            Severity.WARNING if self.later else Severity.ERROR,
            "windows-module",
            f"'{top}' exists on Windows only: ModuleNotFoundError {when}.",
            node,
            remedy="Import it only where it is there: if sys.platform == 'win32', or try … except ImportError.",
        )

    def _used(self, module: str, name: str, node: ast.AST) -> None:
        what = _ATTRIBUTES.get((module, name))
        if what is not None and not self.guarded:
            self._note(
                Severity.WARNING,
                "windows-attribute",
                f"{what} exists on Windows only: AttributeError when this line runs.",
                node,
                remedy="Use it only if sys.platform == 'win32'.",
            )

    def _note(self, severity: Severity, code: str, message: str, node: ast.AST, *, remedy: str) -> None:
        self.findings.append(
            Finding(
                severity=severity,
                code=f"python.{code}",
                message=message,
                file=self.file,
                line=getattr(node, "lineno", 0),
                column=getattr(node, "col_offset", -1) + 1,
                remedy=remedy,
            )
        )


def _unreadable(error: Exception, source: bytes, *, file: str) -> Finding:
    line = error.lineno or 0 if isinstance(error, SyntaxError) else 0
    reason = error.msg if isinstance(error, SyntaxError) else str(error)
    old = re.search(rb"(?m)^\s*print\s+[\"'\w]|except\s+\w+\s*,\s*\w+\s*:", source[:200_000])
    return Finding(
        severity=Severity.WARNING,
        code="python.syntax",
        message=f"The file is no Python 3: {reason}.",
        file=file,
        line=line,
        remedy="It reads like Python 2, which is not offered here: 2to3 or pyupgrade convert it."
        if old
        else "Correct it where the site imports it.",
    )
