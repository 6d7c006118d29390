"""Short ways to write documents and transforms."""

from homeport.model.finding import Severity
from homeport.webconfig.xdt import TransformResult, apply_transform

NAMESPACE = "http://schemas.microsoft.com/XML-Document-Transform"


def transform(source: str, changes: str, *, root: str = "configuration") -> TransformResult:
    """Apply the elements `changes`, put below a root that declares the namespace."""
    text = f'<{root} xmlns:xdt="{NAMESPACE}">{changes}</{root}>'
    return apply_transform(
        source.encode(), text.encode(), source_file="web.config", transform_file="web.debug.config"
    )


def changed(source: str, changes: str) -> str:
    """Apply, expecting neither error nor warning; return the document."""
    result = transform(source, changes)
    assert not [str(each) for each in result.findings]
    assert result.text is not None
    return result.text


def errors(result: TransformResult) -> list[str]:
    """Return the messages of the errors."""
    return [each.message for each in result.findings if each.severity is Severity.ERROR]


def warnings(result: TransformResult) -> list[str]:
    """Return the messages of the warnings."""
    return [each.message for each in result.findings if each.severity is Severity.WARNING]
