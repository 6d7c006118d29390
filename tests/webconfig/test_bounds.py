"""A tenant's configuration costs the agent little, however it is written."""

import pytest

from homeport.webconfig.bounds import (
    LONGEST_VALUE,
    MOST_ELEMENTS,
    MOST_ENTRIES,
    MOST_FILES,
    MOST_FINDINGS,
    MOST_LOCATIONS,
    MOST_PATHS,
    bounded_expand,
    remembering,
)
from homeport.webconfig.plan import Refuse

from .sites import codes, compiled, configuration, first, handler, handlers, pool, python_site, settings

TOO_MANY = Refuse(status=500, sub_status=19, code="webconfig.too-many-entries")


@pytest.mark.parametrize(
    "text",
    [
        configuration(handlers(*(handler(f"h{at}") for at in range(MOST_ENTRIES + 1)))),
        configuration(handlers(*('<remove name="x"/>' for _ in range(MOST_ENTRIES + 1)))),
        configuration(*(f'<location path="l{at}"/>' for at in range(MOST_LOCATIONS + 1))),
    ],
)
def test_too_many_entries_are_refused(text: str) -> None:
    assert first(compiled(text)) == TOO_MANY


def test_handlers_of_several_levels_add_up() -> None:
    many = [handlers(*(handler(f"{level}-{at}") for at in range(300))) for level in "ab"]

    assert first(compiled(configuration(many[0]), folders={"x": configuration(many[1])}), "/x/") == TOO_MANY


def test_a_file_of_many_locations_that_inherit_much_is_refused() -> None:
    text = configuration(
        handlers(*(handler(f"h{at}") for at in range(450))),
        *(f'<location path="l{at}">{handlers(handler("own"))}</location>' for at in range(150)),
    )

    assert first(compiled(text)) == TOO_MANY


def test_too_many_files_are_refused() -> None:
    assert (
        first(compiled(configuration(), folders={f"f{at}": configuration() for at in range(MOST_FILES)}))
        == TOO_MANY
    )


def test_too_many_elements_are_refused() -> None:
    assert codes(compiled(configuration("<a/>" * (MOST_ELEMENTS + 1)))) == ["too-large"]


def test_findings_of_one_file_are_cut_off() -> None:
    assert len(compiled(configuration(*("\n<appSetings/>" for _ in range(15_000)))).findings) == MOST_FINDINGS


def test_thousands_of_settings_are_no_trouble() -> None:
    text = configuration(settings(**{f"K{at}": r"D:\home\x" for at in range(9000)}), handlers(handler()))

    assert pool(compiled(text, disk={"/home": ["x"]})).app_settings[8999] == ("K8999", "/home/x")


@pytest.mark.parametrize(
    ("value", "code"),
    [("x;" * (MOST_PATHS + 1), "too-many-entries"), ("x" * (LONGEST_VALUE + 1), "value-too-long")],
)
def test_a_monstrous_pythonpath_is_told(value: str, code: str) -> None:
    plan = compiled(configuration(settings(WSGI_HANDLER="a.b", PYTHONPATH=value), handlers(handler())))

    assert codes(plan) == [code]


def test_variables_cannot_blow_a_value_up() -> None:
    text = configuration(
        settings(WSGI_HANDLER="a.b", A="x" * 30_000, PYTHONPATH="%A%" * 10_000, WSGI_LOG="%A%%A%"),
        handlers(handler()),
    )

    assert codes(compiled(text)) == ["value-too-long", "value-too-long"]


def test_a_long_setting_that_nobody_refers_to_does_not_matter() -> None:
    assert bounded_expand("%A%\\x", {"A": "a", "B": "b" * 40_000}) == "a\\x"
    assert bounded_expand("%B%", {"B": "b" * 40_000}) is None


def test_the_disk_is_asked_once_for_each_folder() -> None:
    asked: list[str] = []

    def list_folder(path: str) -> list[str] | None:
        asked.append(path)
        return ["x"] if path == "/a" else None

    listed = remembering(list_folder)
    assert listed is not None

    assert [listed("/a"), listed("/b"), listed("/a"), listed("/b")] == [("x",), None, ("x",), None]
    assert asked == ["/a", "/b"]
    assert remembering(None) is None


def test_an_ordinary_site_is_far_from_every_bound() -> None:
    assert codes(compiled(python_site())) == []
