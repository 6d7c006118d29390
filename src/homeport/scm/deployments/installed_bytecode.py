"""Gives the packages that a build installed their compiled code; a program for the site's own Python (3.8 and newer).

`python installed_bytecode.py PACKAGES PLACE STORE`: PACKAGES is the `site-packages` that was installed into, PLACE the
one that it will be, STORE a folder of the site's for code that was compiled before. Compiling is most of what an
installation takes, so a file is compiled once for each content it has. STORE belongs to the site, as its cache of
packages does.

A module that is the very file it is in PLACE keeps its compiled code while that fits by time and size, as Python
compares them. Any other gets it anew: two versions of one size fall into the same second easily.
"""

import hashlib
import importlib.util
import marshal
import os
import shutil
import struct
import sys
import warnings
from contextlib import suppress
from importlib.machinery import SourceFileLoader
from typing import BinaryIO, Dict, Iterator, List, NamedTuple, Optional, Tuple
from urllib.parse import quote, unquote

_HEADER_BYTES = 16
_DIGEST_BYTES = 32
_FILES_PER_PROCESS = 100
_FILES_AT_ONCE = 1000
"""Their code is held in memory."""
Code = Tuple[bytes, Optional[bytes]]
"""The SHA-256 of a source, and its compiled code; None where it does not compile."""


class Module(NamedTuple):
    """A source file: its path below the packages, the SHA-256 of its content, the header of its compiled code."""

    path: str
    digest: bytes
    header: bytes


class Packages(NamedTuple):
    """A folder of packages, and the one that it will be."""

    folder: str
    place: str

    def tops(self) -> List[str]:
        """Return the packages, and the modules that are one file."""
        with os.scandir(self.folder) as entries:
            return sorted(entry.name for entry in entries if _is_package(entry) or _is_source(entry))

    def sources(self, top: str) -> Iterator[str]:
        """Yield the paths of the Python files of one of `tops`."""
        if not os.path.isdir(os.path.join(self.folder, top)):
            yield top
            return
        waiting = [top]
        while waiting:
            path = waiting.pop()
            with suppress(PermissionError), os.scandir(os.path.join(self.folder, path)) as entries:
                for entry in entries:
                    if _is_package(entry):
                        waiting.append(path + "/" + entry.name)
                    elif _is_source(entry):
                        yield path + "/" + entry.name

    def changed(self, path: str) -> Optional[Module]:
        """Return a module whose compiled code may be missing or another's, None where it is this one's."""
        source = os.path.join(self.folder, path)
        status = os.stat(source)
        written = (0, int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF)
        header = importlib.util.MAGIC_NUMBER + struct.pack("<III", *written)
        with suppress(OSError):
            if os.path.samestat(status, os.stat(os.path.join(self.place, path))):
                with open(importlib.util.cache_from_source(source), "rb") as file:
                    if file.read(_HEADER_BYTES) == header:
                        return None
        with open(source, "rb") as file:
            return Module(path, hashlib.sha256(file.read()).digest(), header)

    def compile(self, module: Module) -> Code:
        """Compile a module as the file that it will be."""
        name = os.path.join(self.place, module.path)
        with open(os.path.join(self.folder, module.path), "rb") as file:
            data = file.read()
        try:
            return module.digest, marshal.dumps(SourceFileLoader("", name).source_to_code(data, name))
        except (SyntaxError, ValueError, RecursionError):  # templates, files for other versions
            return module.digest, None

    def write(self, module: Module, code: Code) -> None:
        """Write the compiled code of a module; none rather than another's. Raises `OSError`."""
        target = importlib.util.cache_from_source(os.path.join(self.folder, module.path))
        with suppress(FileNotFoundError):
            os.unlink(target)  # never written in place: it may be shared with the packages that are served
        if code[1] is None:
            return
        data = module.header + code[1]
        try:
            _create(target, data)
        except FileNotFoundError:
            os.mkdir(os.path.dirname(target))
            _create(target, data)


class Store:
    """The compiled code of one place's packages: a file for each of their `tops`."""

    def __init__(self, folder: str, place: str) -> None:
        self._root = folder
        self._name = "{}.{}".format(quote(place, safe=""), importlib.util.MAGIC_NUMBER.hex())
        self._folder = os.path.join(folder, self._name)
        os.makedirs(self._folder, exist_ok=True)

    def read(self, top: str) -> Dict[str, Code]:
        """Return what is known: path → code. What was cut short or damaged is as if it were not there."""
        with suppress(OSError), open(os.path.join(self._folder, top), "rb") as file:
            digest, data = file.read(_DIGEST_BYTES), file.read()
            if hashlib.sha256(data).digest() == digest:
                return dict(marshal.loads(data))
        return {}

    def write(self, top: str, codes: Dict[str, Code]) -> None:
        """Replace what is known. Raises `OSError`."""
        place, data = os.path.join(self._folder, top), marshal.dumps(codes)
        aside = place + ".new"
        with open(aside, "wb") as file:
            file.write(hashlib.sha256(data).digest() + data)
        os.replace(aside, place)

    def tidy(self, tops: List[str]) -> None:
        """Forget other packages, what other interpreters compiled for this place, and places that are gone."""
        for name in set(os.listdir(self._folder)).difference(tops):
            os.unlink(os.path.join(self._folder, name))
        for name in set(os.listdir(self._root)).difference([self._name]):
            place = unquote(name.rpartition(".")[0])
            if place == unquote(self._name.rpartition(".")[0]) or not os.path.isdir(place):
                shutil.rmtree(os.path.join(self._root, name), ignore_errors=True)


def bring_up_to_date(packages: Packages, store: Store) -> Tuple[int, int]:
    """Give all packages their compiled code; return how many modules were compiled, and how many before.

    Raises `OSError`.
    """
    tops = packages.tops()
    missing: List[Tuple[str, Module]] = []
    compiled = restored = 0
    for top in tops:
        changed = [module for module in map(packages.changed, packages.sources(top)) if module is not None]
        known = store.read(top) if changed else {}
        for module in changed:
            code = known.get(module.path)
            if code is None or code[0] != module.digest:
                missing.append((top, module))
            else:
                packages.write(module, code)
                restored += 1
        if len(missing) >= _FILES_AT_ONCE or top == tops[-1]:
            _compile_and_store(packages, store, missing)
            compiled += len(missing)
            missing.clear()
    store.tidy(tops)
    return compiled, restored


def _compile_and_store(packages: Packages, store: Store, missing: List[Tuple[str, Module]]) -> None:
    """Compile all modules of some of `tops` that need it. Raises `OSError`."""
    compiled: Dict[str, Dict[str, Code]] = {}
    for (top, module), code in zip(missing, _compile_all(packages, [module for _, module in missing])):
        packages.write(module, code)
        compiled.setdefault(top, {})[module.path] = code
    for top, codes in compiled.items():
        there = set(packages.sources(top))
        store.write(top, {path: code for path, code in {**store.read(top), **codes}.items() if path in there})


def _compile_all(packages: Packages, modules: List[Module]) -> List[Code]:
    """Compile modules with as many processes as there are cores for. Raises `OSError`."""
    count = max(1, min(len(os.sched_getaffinity(0)), len(modules) // _FILES_PER_PROCESS))
    codes: List[Code] = [(b"", None)] * len(modules)
    others = [_begin(packages, modules[number::count]) for number in range(1, count)]
    codes[::count] = [packages.compile(module) for module in modules[::count]]
    for number, (pid, pipe) in enumerate(others, 1):
        with pipe:
            data = pipe.read()
        if os.waitpid(pid, 0)[1] != 0:
            raise ChildProcessError("a process that compiled packages was ended")
        codes[number::count] = marshal.loads(data)
    return codes


def _begin(packages: Packages, modules: List[Module]) -> Tuple[int, BinaryIO]:
    """Compile in a process of its own, which writes the codes to the pipe."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid != 0:
        os.close(writing)
        return pid, open(reading, "rb")
    ended = 1
    try:
        os.close(reading)
        with open(writing, "wb") as pipe:
            marshal.dump([packages.compile(module) for module in modules], pipe)
        ended = 0
    finally:
        os._exit(ended)


def _create(path: str, data: bytes) -> None:
    with open(path, "xb") as file:
        file.write(data)


def _is_package(entry: "os.DirEntry[str]") -> bool:
    return entry.is_dir(follow_symlinks=False) and entry.name != "__pycache__"


def _is_source(entry: "os.DirEntry[str]") -> bool:
    return entry.name.endswith(".py") and entry.is_file()


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of the packages' code
    counts = bring_up_to_date(Packages(*sys.argv[1:3]), Store(sys.argv[3], sys.argv[2]))
    sys.stdout.write("Byte code: {} compiled, {} brought back.\n".format(*counts))
