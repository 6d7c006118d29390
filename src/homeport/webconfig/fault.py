"""What makes a file or a section of it useless, with its place."""

from homeport.model.finding import Finding, Severity


class Fault(Exception):
    """A document or section that IIS would answer 500.19 to; it becomes a finding, and a section's a refusal."""

    def __init__(self, code: str, message: str, *, line: int = 0, column: int = 0, remedy: str = "") -> None:
        super().__init__(message)
        self.code = f"webconfig.{code}"
        self.message = message
        self.line = line
        self.column = column
        self.remedy = remedy

    def finding(self, file: str) -> Finding:
        """Give the error as a finding in that file."""
        return Finding(
            severity=Severity.ERROR,
            code=self.code,
            message=self.message,
            file=file,
            line=self.line,
            column=self.column,
            remedy=self.remedy,
        )
