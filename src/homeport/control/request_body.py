"""Reading the bodies of requests to our own API."""

from typing import Any

from starlette.requests import Request

from homeport.model.errors import Invalid


async def json_object(request: Request) -> dict[str, Any]:
    """Read a JSON object. Raises `Invalid`."""
    try:
        value = await request.json()
    except ValueError as error:
        raise Invalid(f"The request's body is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise Invalid("The request's body must be a JSON object.")
    return value


def text_of(body: dict[str, Any], name: str, default: str | None = None) -> str:
    """Return a text of the object. Raises `Invalid`."""
    value = body.get(name, default)
    if not isinstance(value, str):
        raise Invalid(f"The request's body must name '{name}' as a text.")
    return value
