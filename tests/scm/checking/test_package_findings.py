"""Wheels, source distributions and requirements, judged without asking an index."""

import pytest

from homeport.scm.checking.packages import (
    check_installed_wheel,
    check_requirements,
    check_sdist,
    check_wheel_name,
    extra_packages,
    required_names,
)

VERSION = (3, 11, 7)


@pytest.mark.parametrize(
    "name",
    [
        "six-1.16.0-py2.py3-none-any.whl",
        "numpy-1.26.4-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "cryptography-42.0.0-cp37-abi3-manylinux_2_28_x86_64.whl",
    ],
)
def test_a_wheel_that_fits_is_not_mentioned(name: str) -> None:
    assert check_wheel_name(name, file=name, version=VERSION) == []


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("numpy-1.13.1-cp36-none-win_amd64.whl", "cp36-none-win_amd64"),
        ("numpy-1.26.4-cp312-cp312-manylinux_2_17_x86_64.whl", "cp312-cp312-manylinux_2_17_x86_64"),
        ("numpy-1.26.4-cp311-cp311-macosx_11_0_arm64.whl", "cp311-cp311-macosx_11_0_arm64"),
        ("old-1.0-py2-none-any.whl", "py2-none-any"),
    ],
)
def test_a_wheel_that_does_not_fit_is_named_with_its_tag_and_what_would(name: str, tag: str) -> None:
    (finding,) = check_wheel_name(name, file=f"wheels/{name}", version=VERSION)
    assert finding.message == f"The wheel {name} is for {tag}, which Python 3.11 on Linux does not take."
    assert "as cp311-cp311-manylinux…_" in finding.remedy
    assert "py3-none-any" in finding.remedy


def test_python_3_6_wants_its_own_abi() -> None:
    fits = "numpy-1.13.1-cp36-cp36m-manylinux1_x86_64.whl"
    assert check_wheel_name(fits, file=fits, version=(3, 6, 15)) == []
    (finding,) = check_wheel_name("a-1-cp36-none-win32.whl", file="a", version=(3, 6, 15))
    assert "cp36-cp36m-manylinux" in finding.remedy


def test_a_package_that_lies_unpacked_in_the_content_is_judged_by_its_tags() -> None:
    metadata = b"Wheel-Version: 1.0\nTag: cp36-cp36m-win_amd64\n"
    (finding,) = check_installed_wheel(metadata, file="x/WHEEL", name="numpy-1.13.1", version=VERSION)
    assert "numpy-1.13.1 in this folder is for cp36-cp36m-win_amd64" in finding.message
    assert check_installed_wheel(b"Tag: py3-none-any\n", file="x", name="a", version=VERSION) == []
    assert check_installed_wheel(b"", file="x", name="a", version=VERSION) == []


def test_a_source_distribution_with_c_code_needs_a_compiler() -> None:
    (finding,) = check_sdist(["a-1/setup.py", "a-1/src/fast.c"], file="a-1.tar.gz")
    assert "(a-1/src/fast.c)" in finding.message
    assert check_sdist(["a-1/setup.py", "a-1/a.py"], file="a-1.tar.gz") == []


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("pywin32==300", "packages.windows-package"),
        ("WMI", "packages.windows-package"),
        ("git+https://example.org/a.git#egg=a", "packages.from-source"),
        ("a @ https://example.org/a-1.0.tar.gz", "packages.from-source"),
        ("./libs/thing", "packages.from-source"),
        ("-e .", "packages.from-source"),
        ("--no-binary :all:", "packages.needs-compiler"),
        ("https://example.org/a-1-cp36-none-win32.whl", "packages.wheel"),
        ("--find-links D:\\home\\wheels", "packages.windows-path"),
        ("C:\\wheels\\a-1-py3-none-any.whl", "packages.windows-path"),
        ("a @ file:///c:/wheels/a-1-py3-none-any.whl", "packages.windows-path"),
        ("-e C:\\src\\a", "packages.windows-path"),
        ("flask=1.0", "packages.requirement"),
    ],
)
def test_a_requirement_that_cannot_be_met_is_named_with_its_line(line: str, code: str) -> None:
    findings = check_requirements(f"# comment\n\n{line}\n", file="requirements.txt", version=VERSION)
    assert [(each.code, each.line) for each in findings] == [(code, 3)]
    assert findings[0].remedy


@pytest.mark.parametrize(
    "line",
    [
        "flask>=1.0",
        "pywin32; sys_platform == 'win32'",
        'pywin32==300 ; platform_system == "Windows"',
        "flask[async]>=2  # the web",
        "-r other.txt",
        "--index-url https://example.org/simple",
        "flask==1.0 --hash=sha256:00",
        "flask \\\n    >=1.0",
    ],
)
def test_what_can_be_installed_is_not_mentioned(line: str) -> None:
    assert check_requirements(line, file="requirements.txt", version=VERSION) == []


def test_packages_that_no_requirement_brings_are_named() -> None:
    installed = {
        "flask": ["werkzeug>=2", "colorama; sys_platform == 'win32'", "asgiref; extra == 'async'"],
        "werkzeug": ["MarkupSafe"],
        "markupsafe": [],
        "asgiref": [],
        "colorama": [],
        "requests": ["idna"],
        "idna": [],
        "pip": [],
    }
    required = required_names(["Flask[async]>=1", "git+https://x/y#egg=other"])
    assert extra_packages(installed, required, version=VERSION) == ["colorama", "idna", "requests"]
