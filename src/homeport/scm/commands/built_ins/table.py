"""Which function runs which built-in name."""

from collections.abc import Callable, Mapping

from homeport.scm.commands.built_ins import files, folders, system, text, variables
from homeport.scm.commands.console import Console
from homeport.scm.commands.handles import Streams

BuiltIn = Callable[[Console, str, Streams], int]

BUILT_IN_TABLE: Mapping[str, BuiltIn] = {
    "cd": folders.change_directory,
    "chdir": folders.change_directory,
    "cls": system.clear_screen,
    "copy": files.copy,
    "del": files.delete,
    "dir": folders.list_directory,
    "echo": text.echo,
    "endlocal": variables.end_scope,
    "erase": files.delete,
    "findstr": text.findstr,
    "md": folders.make_directory,
    "mkdir": folders.make_directory,
    "more": files.more,
    "move": files.move,
    "pause": system.pause,
    "popd": folders.pop_directory,
    "pushd": folders.push_directory,
    "rd": folders.remove_directory,
    "ren": files.rename,
    "rename": files.rename,
    "rmdir": folders.remove_directory,
    "set": variables.set_variable,
    "setlocal": variables.begin_scope,
    "shift": variables.shift,
    "start": system.unavailable_start,
    "tasklist": system.list_processes,
    "title": system.nothing,
    "type": files.type_files,
    "ver": system.show_version,
    "vol": system.show_volume,
    "where": system.where,
}
"""`call`, `exit` and `goto` are the interpreter's own."""
