"""What `homeport explain TEXT` shows: every step from a Windows text to what it means on Linux."""

from collections.abc import Mapping
from dataclasses import dataclass

from homeport.windows.interpreters import (
    Interpreter,
    InterpreterKind,
    is_wfastcgi,
    recognise_interpreter,
    recognise_site_packages,
)
from homeport.windows.layout import Layout
from homeport.windows.pathlist import split_path_list
from homeport.windows.paths import ListFolder, MappedPath, Rule, map_path
from homeport.windows.script_processor import parse_script_processor
from homeport.windows.variables import expand, windows_variables

_RULES: Mapping[Rule, str] = {
    Rule.HOME: r"X:\home is the site's folder {home}",
    Rule.HOME_EXPANDED: r"X:\DWASFiles\Sites\<any>\VirtualDirectory0 is the site's folder {home}",
    Rule.TEMPORARY: r"X:\local\Temp is the temporary folder {temporary}",
    Rule.LOCAL: r"X:\local is the local folder {local}",
    Rule.LINUX: "an absolute Linux path stays as it is",
    Rule.RELATIVE: "a relative path starts in {directory}",
    Rule.UNMAPPED: "no rule covers this drive path",
    Rule.REFUSED: "refused",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: what was looked at (`variables`, `rule`, …) and what came of it."""

    what: str
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """How one text is read. `result` is the Linux path or None; `warnings` say what is lost or ambiguous."""

    text: str
    steps: tuple[Step, ...]
    result: str | None
    warnings: tuple[str, ...] = ()


def explain(
    text: str,
    layout: Layout,
    *,
    variables: Mapping[str, str] | None = None,
    list_folder: ListFolder | None = None,
    directory: str | None = None,
) -> tuple[Explanation, ...]:
    """Explain a path, each item of a `;` list, or both halves of a `program|arguments` text, in order."""
    known = windows_variables(layout) if variables is None else variables
    return tuple(
        _explain_path(item, layout, variables=known, list_folder=list_folder, directory=directory)
        for item in _items(text)
    )


def _items(text: str) -> tuple[str, ...]:
    if "|" in text.strip("|"):
        processor = parse_script_processor(text)
        return processor.program, *processor.argument_list
    return split_path_list(text) or (text,)


def _explain_path(
    text: str,
    layout: Layout,
    *,
    variables: Mapping[str, str],
    list_folder: ListFolder | None,
    directory: str | None,
) -> Explanation:
    mapped = map_path(text, layout, variables=variables, list_folder=list_folder, directory=directory)
    steps = [Step(what="input", outcome=text)]
    replaced = expand(text, variables).replaced
    if replaced:
        names = ", ".join(f"%{name}%" for name in replaced)
        steps.append(Step(what="variables", outcome=f"{mapped.expanded} (from {names})"))
    if meaning := _meaning(mapped.expanded, layout):
        steps.append(Step(what="program", outcome=meaning))
    steps.append(Step(what="rule", outcome=_rule(mapped, layout, directory=directory)))
    steps += [Step(what="note", outcome=note) for note in mapped.notes if "is spelled" in note]
    if mapped.posix is not None:
        existence = {True: " (exists)", False: " (does not exist)", None: ""}[mapped.exists]
        steps.append(Step(what="result", outcome=mapped.posix + existence))
    warnings = [note for note in mapped.notes if "is spelled" not in note]
    if mapped.problem:
        warnings.append(mapped.problem.message)
    return Explanation(text=text, steps=tuple(steps), result=mapped.posix, warnings=tuple(warnings))


def _rule(mapped: MappedPath, layout: Layout, *, directory: str | None) -> str:
    return _RULES[mapped.rule].format(
        home=layout.home,
        temporary=layout.temporary,
        local=layout.local,
        directory=directory or "the folder it is used in",
    )


def _meaning(text: str, layout: Layout) -> str:
    if is_wfastcgi(text):
        return "wfastcgi: the platform's own FastCGI host for WSGI applications"
    if interpreter := recognise_interpreter(text, layout, variables={}):
        return _describe(interpreter)
    if packages := recognise_site_packages(text, layout, variables={}):
        return f"packages of {_describe(packages[0])}"
    return ""


def _describe(interpreter: Interpreter) -> str:
    version = ".".join(str(number) for number in interpreter.version)
    named = f"Python{' ' + version if version else ''}"
    match interpreter.kind:
        case InterpreterKind.EXTENSION:
            return f"{named} of the site extension in folder {interpreter.folder}"
        case InterpreterKind.BUILT_IN | InterpreterKind.MACHINE:
            return f"{named} of a machine ({interpreter.folder}): a runtime of the site takes its place"
        case InterpreterKind.ENVIRONMENT:
            return f"{named} of the virtual environment {interpreter.folder}"
        case InterpreterKind.FOLDER:
            return f"{named} in the site's folder {interpreter.folder}"
        case InterpreterKind.BARE:
            return f"{named} of the site: its only runtime, or the newest"
