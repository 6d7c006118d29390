"""WSGI_HANDLER: from a dotted text to the application (IIS reference §3.5)."""

import importlib
import traceback
from typing import Any, List, Mapping


class HandlerNotSet(Exception):
    """The variable WSGI_HANDLER is missing or empty."""


def load_handler(environ: Mapping[str, str]) -> Any:
    """Return the application that WSGI_HANDLER names.

    Raises HandlerNotSet, ValueError (`"x" could not be imported`), AttributeError for a missing attribute, and
    whatever the application's own modules raise.
    """
    name = environ.get("WSGI_HANDLER", "")
    if not name:
        raise HandlerNotSet("WSGI_HANDLER env var must be set")
    return _report(_resolve(name), name)


def _resolve(name: str) -> Any:
    """Import the longest prefix that is a module, then walk the rest; `()` behind a name calls it."""
    parts = name.split(".")
    last_error = ""
    for split in range(len(parts) - 1, 0, -1):
        module_name = ".".join(parts[:split])
        try:
            # A call inside the module part never is a module's name; the part is then tried as an attribute.
            module = importlib.import_module(module_name)
            return _walk(module, parts[split:])
        except ImportError:
            # Also one raised by a call: then a shorter module name is tried, as wfastcgi does.
            last_error = traceback.format_exc()
    raise ValueError('"{}" could not be imported{}'.format(name, last_error and ": " + last_error))


def _walk(target: Any, parts: List[str]) -> Any:
    for part in parts:
        called = part.endswith("()")
        target = getattr(target, part[:-2] if called else part)
        if called:
            target = target()
    return target


def _report(application: Any, name: str) -> Any:
    if application is None:
        raise ValueError('"{}" could not be imported'.format(name))
    return application
