"""Every error Homeport raises on purpose, by what the caller can do about it.

    HomeportError            never raised itself
    ├── Invalid              fix the input
    ├── NotFound             name something that exists
    ├── Conflict             the present state forbids it
    ├── Forbidden            the caller may not
    ├── Unsupported          a documented difference from Azure App Service
    └── Unavailable          try again later

A message is one sentence that names the thing, the offending value and the remedy. HTTP status codes live at
the edge of each API, in one table each.
"""


class HomeportError(Exception):
    """The root: carries a message for a person and a stable `code` for programs."""

    code = "Error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class Invalid(HomeportError):
    """The input is wrong; the message says where and what to write instead."""

    code = "Invalid"


class NotFound(HomeportError):
    """The named thing does not exist."""

    code = "NotFound"


class Conflict(HomeportError):
    """The present state forbids it."""

    code = "Conflict"


class Forbidden(HomeportError):
    """The caller may not do that."""

    code = "Forbidden"


class Unsupported(HomeportError):
    """A documented difference from Azure App Service."""

    code = "Unsupported"


class Unavailable(HomeportError):
    """It cannot be done now; trying again later can succeed."""

    code = "Unavailable"
