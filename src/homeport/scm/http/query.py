"""Query parameters as ASP.NET binds them: names without case, booleans by word."""

from starlette.requests import Request

from homeport.model.errors import Invalid


def query_text(request: Request, name: str) -> str | None:
    """Return the first value of a parameter, None where it is absent."""
    folded = name.casefold()
    return next(
        (value for key, value in request.query_params.multi_items() if key.casefold() == folded), None
    )


def query_flag(request: Request, name: str, *, default: bool = False) -> bool:
    """Return a boolean; `true` and `false` in any case. Raises `Invalid` for another word (400)."""
    return flag_of(query_text(request, name), name, default=default)


def flag_of(text: str | None, name: str, *, default: bool) -> bool:
    """Read a boolean as `query_flag` does; `name` is for the message. Raises `Invalid`."""
    if text is None or text == "":
        return default
    folded = text.strip().casefold()
    if folded not in {"true", "false"}:
        raise Invalid(
            f"The value '{text}' is not valid for '{name}': write true or false.", code="QueryValue"
        )
    return folded == "true"
