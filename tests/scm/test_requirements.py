"""What a site requires, from whichever file says it (Kudu reference §12.8)."""

import pytest

from homeport.scm.deployments.requirements import UnreadableRequirements, is_self_contained, read_required

POETRY = """
[[package]]
name = "flask"
version = "3.0.0"
optional = false
groups = ["main"]
markers = "python_version >= '3.8'"
files = [{file = "f.whl", hash = "sha256:aa"}]
[[package]]
name = "pytest"
version = "8.0"
optional = false
groups = ["dev"]
[[package]]
name = "extra"
version = "1.0"
optional = true
groups = ["main"]
[metadata]
lock-version = "2.1"
"""
OLD_POETRY = """
[[package]]
name = "flask"
version = "2.0"
category = "main"
optional = false
[[package]]
name = "black"
version = "22.0"
category = "dev"
optional = false
[metadata.files]
flask = [{file = "f.whl", hash = "sha256:bb"}]
"""


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("requirements.txt", "flask\n# note\n", ["flask", "# note"]),
        ("pyproject.toml", '[project]\nname="x"\ndependencies=["flask>=3", "rich"]\n', ["flask>=3", "rich"]),
        ("pyproject.toml", "[tool.ruff]\n", []),
        ("poetry.lock", POETRY, ["flask==3.0.0 ; python_version >= '3.8' --hash=sha256:aa"]),
        ("poetry.lock", OLD_POETRY, ["flask==2.0 --hash=sha256:bb"]),
        (
            "Pipfile.lock",
            '{"_meta":{"sources":[{"url":"https://index.example/simple"}]},"default":{"flask":{"version":"==3.0",'
            '"extras":["async"],"markers":"os_name == \'posix\'","hashes":["sha256:cc"]}},"develop":{"x":{}}}',
            [
                "--index-url https://index.example/simple",
                "flask[async]==3.0 ; os_name == 'posix' --hash=sha256:cc",
            ],
        ),
        ("Pipfile", '[packages]\nflask = "*"\nrich = "==13"\nuv = {version = ">1", extras = ["a"]}\n',
         ["flask", "rich==13", "uv[a]>1"]),
    ],
)  # fmt: skip
def test_each_file_becomes_lines(name: str, text: str, lines: list[str]) -> None:
    assert list(read_required(name, text).lines) == lines


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", "not toml"),
        ("pyproject.toml", '[project]\ndynamic=["dependencies"]\n'),
        ("pyproject.toml", "[tool.poetry.dependencies]\nflask='*'\n"),
        ("pyproject.toml", "project = 5\n"),
        ("Pipfile.lock", "[]"),
        ("Pipfile.lock", '{"default":{"x":{"git":"https://example.com/x"}}}'),
        ("Pipfile.lock", '{"default":{"x":{"version":"==1\\n--index-url https://evil.example"}}}'),
        ("poetry.lock", '[[package]]\nname="x"\nversion="1"\nsource={type="git"}\n'),
        ("poetry.lock", '[[package]]\nname="x"\n'),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_name_of_the_file(name: str, text: str) -> None:
    with pytest.raises(UnreadableRequirements, match=name.split(".")[0]):
        read_required(name, text)


@pytest.mark.parametrize(
    ("line", "alone"),
    [
        ("flask==3.0", True),
        ("flask[async]>=3 ; python_version < '3.13'  # why", True),
        ("--index-url https://index.example/simple", True),
        ("", True),
        ("-r other.txt", False),
        ("-e .", False),
        ("./wheels/a.whl", False),
        ("a @ https://example.com/a.whl", False),
        ("git+https://example.com/a", False),
    ],
)
def test_only_lines_that_always_mean_the_same_let_an_installation_be_skipped(line: str, alone: bool) -> None:
    assert is_self_contained(read_required("requirements.txt", line)) is alone
