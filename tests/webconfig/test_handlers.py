"""Which rule answers: order, inheritance, removal, and what IIS answers 500.19 to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.webconfig.plan import AnswerOptions, FastCgi, Refuse, ResourceType, StaticFiles

from .sites import codes, compiled, configuration, errors, first, handler, handlers, python_site, rules

STATIC = 'modules="StaticFileModule,DefaultDocumentModule,DirectoryListingModule" resourceType="Either" requireAccess="Read"'
REMOVE = configuration(handlers('<remove name="PythonHandler"/>'))


def names(text: str, folder: str = "/", **folders: str) -> list[str]:
    plan = compiled(text, folders=folders)
    assert errors(plan) == [
        finding for finding in errors(plan) if finding.code == "webconfig.no-wsgi-handler"
    ]
    return [rule.action.handler for rule in rules(plan, folder) if isinstance(rule.action, FastCgi)]


def test_without_any_file_the_content_is_served() -> None:
    plan = compiled()

    assert [type(rule.action) for rule in plan.rules] == [AnswerOptions, StaticFiles]
    assert codes(plan) == ["none"]


def test_a_file_without_handlers_serves_the_content() -> None:
    assert isinstance(rules(compiled(configuration()))[-1].action, StaticFiles)


def test_the_handler_of_the_site_comes_before_the_platforms() -> None:
    actions = [type(rule.action) for rule in compiled(python_site()).rules]

    assert actions == [FastCgi, AnswerOptions, StaticFiles]


def test_a_folder_that_removes_the_handler_serves_files() -> None:
    plan = compiled(python_site(), folders={"static": REMOVE})

    assert isinstance(first(plan), FastCgi)
    assert [type(rule.action) for rule in rules(plan, "/static/")] == [AnswerOptions, StaticFiles]
    assert plan.rules[0].folder == "/static/"


def test_a_folder_may_clear_and_add_the_static_handler_again() -> None:
    text = configuration(handlers("<clear/>", handler("StaticFile", more=STATIC)))

    (rule,) = rules(compiled(python_site(), folders={"static": text}), "/static/")

    assert isinstance(rule.action, StaticFiles)
    assert rule.resource_type is ResourceType.EITHER


def test_a_folder_that_only_clears_finds_nothing_and_does_not_fall_back_on_its_parent() -> None:
    plan = compiled(python_site(), folders={"static": configuration(handlers("<clear/>"))})

    assert first(plan, "/static/") == Refuse(status=404, sub_status=4)
    assert isinstance(first(plan), FastCgi)


def test_a_location_does_as_a_file_in_the_folder_would() -> None:
    inside = handlers('<remove name="PythonHandler"/>')
    located = compiled(python_site(f'<location path="static">{inside}</location>'))
    filed = compiled(python_site(), folders={"static": configuration(inside)})

    assert [rule.action for rule in rules(located, "/static/")] == [
        rule.action for rule in rules(filed, "/static/")
    ]


@pytest.mark.parametrize("path", ["", ".", "./"])
def test_a_location_of_the_level_itself_holds_for_the_level(path: str) -> None:
    text = configuration(f'<location path="{path}">{handlers(handler())}</location>')

    assert isinstance(first(compiled(text)), FastCgi)


def test_locations_hold_from_shallow_to_deep_and_before_the_files_below() -> None:
    root = configuration(
        f'<location path="a/b">{handlers(handler("deep"))}</location>',
        f'<location path="a">{handlers(handler("shallow"))}</location>',
    )

    assert names(root, "/a/b/", **{"a/b": configuration(handlers(handler("own")))}) == [
        "own",
        "deep",
        "shallow",
    ]


def test_entries_of_one_file_keep_their_order_and_come_before_inherited_ones() -> None:
    root = configuration(handlers(handler("one"), handler("two")))

    assert names(root) == ["one", "two"]
    assert names(root, "/x/", x=configuration(handlers(handler("three"), handler("four")))) == [
        *("three", "four", "one", "two")
    ]


def test_a_folder_is_spelled_as_on_disk() -> None:
    disk = {"/home": ["site"], "/home/site": ["wwwroot"], "/home/site/wwwroot": ["Static"]}
    text = python_site(f'<location path="static">{handlers("<clear/>")}{""}</location>')
    plan = compiled(
        text.replace("<clear/>", '<clear/><add name="S" path="*" verb="*" ' + STATIC + "/>"), disk=disk
    )

    assert rules(plan, "/Static/")


def test_a_folder_that_changes_nothing_has_no_rules() -> None:
    assert {rule.folder for rule in compiled(python_site(), folders={"x": configuration()}).rules} == {"/"}


def test_the_same_name_twice_is_an_error_that_names_the_first() -> None:
    plan = compiled(configuration(handlers(handler("A"), "\n", handler("A"))))

    assert first(plan) == Refuse(status=500, sub_status=19, code="webconfig.duplicate-key")
    (error,) = errors(plan)
    assert (error.line, "web.config:1" in error.message) == (2, True)


def test_a_name_of_the_platform_is_taken_too() -> None:
    assert "duplicate-key" in codes(compiled(configuration(handlers(handler("StaticFile", more=STATIC)))))


def test_removing_first_makes_room() -> None:
    assert names(configuration(handlers(handler("A"), '<remove name="A"/>', handler("A")))) == ["A"]


def test_names_are_compared_with_case() -> None:
    plan = compiled(
        python_site(), folders={"static": configuration(handlers('<remove name="pythonhandler"/>'))}
    )

    assert rules(plan, "/static/") == []
    assert "nothing-to-remove" in codes(plan)


def test_public_configurations_remove_what_was_never_there() -> None:
    text = configuration(
        handlers('<remove name="Python27_via_FastCGI"/>', '<remove name="Python34_via_FastCGI"/>')
    )

    assert codes(compiled(text)) == []


@pytest.mark.parametrize("missing", ["name", "path", "verb"])
def test_an_entry_needs_name_path_and_verb(missing: str) -> None:
    plan = compiled(configuration(handlers(handler().replace(f" {missing}=", f" x{missing}="))))

    assert first(plan) == Refuse(status=500, sub_status=19, code="webconfig.missing-attribute")


def test_an_error_in_a_folder_hurts_that_folder_only() -> None:
    plan = compiled(python_site(), folders={"bad": "<configuration>", "bad/deep": REMOVE, "good": REMOVE})

    assert first(plan, "/bad/") == Refuse(status=500, sub_status=19, code="webconfig.malformed")
    assert rules(plan, "/bad/deep/") == []
    assert isinstance(first(plan), FastCgi)
    assert isinstance(rules(plan, "/good/")[-1].action, StaticFiles)


def test_a_malformed_root_refuses_everything() -> None:
    plan = compiled("<configuration", folders={"static": REMOVE})

    assert [rule.action for rule in plan.rules] == [
        Refuse(status=500, sub_status=19, code="webconfig.malformed")
    ]
    assert plan.pools == ()


def test_the_access_policy_refuses_what_it_does_not_grant() -> None:
    plan = compiled(configuration(handlers(handler(), attributes='accessPolicy="Read"')))

    assert first(plan) == Refuse(status=403, sub_status=1, code="webconfig.access-policy")
    assert isinstance(rules(plan)[-1].action, StaticFiles)


def test_an_access_policy_is_inherited() -> None:
    plan = compiled(
        configuration(handlers(handler(), attributes='accessPolicy="Script"')), folders={"x": configuration()}
    )

    assert rules(plan)[-1].action == Refuse(status=403, sub_status=2, code="webconfig.access-policy")


@pytest.mark.parametrize(
    ("attributes", "code"),
    [('accessPolicy="Reed"', "invalid-value"), ("", "")],
)
def test_a_wrong_flag_is_an_error(attributes: str, code: str) -> None:
    plan = compiled(configuration(handlers(handler(), attributes=attributes)))

    assert [found.code for found in errors(plan)][:1] == (
        [f"webconfig.{code}"] if code else ["webconfig.no-wsgi-handler"]
    )


def test_words_are_read_without_case() -> None:
    plan = compiled(configuration(handlers(handler(more='resourceType="FILE" requireAccess="script"'))))

    assert rules(plan)[0].resource_type is ResourceType.FILE


def test_a_precondition_that_cannot_hold_leaves_the_handler_out() -> None:
    assert names(configuration(handlers(handler(more='preCondition="classicMode,bitness64"')))) == []
    assert names(configuration(handlers(handler(more='preCondition="integratedMode,bitness64"')))) == [
        "PythonHandler"
    ]


@pytest.mark.parametrize(
    "more",
    [
        'modules="IsapiModule" scriptProcessor="x.dll"',
        'modules="aspNetCore"',
        'modules="CgiModule"',
        'type="System.Web.UI.PageHandlerFactory"',
        'type="Microsoft.PythonTools.Debugger.WebSocketProxy, Microsoft.PythonTools.WebRole"',
    ],
)
def test_a_handler_that_cannot_run_here_refuses_and_says_so(more: str) -> None:
    plan = compiled(configuration(handlers(handler("H", path="h", more=more))))

    assert rules(plan)[0].action == Refuse(status=500, code="webconfig.unsupported-handler")
    assert codes(plan) == ["unsupported-handler"]


def test_the_first_module_that_can_answer_counts() -> None:
    plan = compiled(configuration(handlers(handler("S", more='modules="IsapiModule,StaticFileModule"'))))

    assert rules(plan)[0].action == StaticFiles(default_documents=())


def test_a_path_is_relative_to_the_file_that_says_it() -> None:
    plan = compiled(configuration(), folders={"api": configuration(handlers(handler(path="v1/*")))})

    assert rules(plan, "/api/")[0].base == "/api/"


def test_two_locations_may_not_set_one_section_twice() -> None:
    one = f'<location path="x">{handlers(handler("A"))}</location>'
    plan = compiled(configuration(one, "\n", one.replace("A", "B")))

    assert codes(plan)[0] == "duplicate-location"


@pytest.mark.parametrize("path", ["..", "../x", "a/../../b", "a\\..\\b"])
def test_a_location_stays_in_its_folder(path: str) -> None:
    assert "location-path" in codes(compiled(configuration(f'<location path="{path}"/>')))


@pytest.mark.parametrize("path", ["a&#10;b", "a&#127;", "x" * 5000])
def test_a_location_that_no_server_can_be_told_is_refused(path: str) -> None:
    plan = compiled(configuration(f'<location path="{path}"/>'))

    assert codes(plan)[0] == "invalid-value"
    assert first(plan) == Refuse(status=500, sub_status=19, code="webconfig.invalid-value")


def test_what_is_never_served_is_always_in_the_plan() -> None:
    for plan in (compiled(), compiled("<broken"), compiled(python_site())):
        filtering = plan.settings_of("/").request_filtering
        assert {"web.config", "bin", "app_data"} <= set(filtering.hidden_segments)
        assert {".config", ".cs"} <= set(filtering.file_extensions.denied)


SMALL_NAMES = st.sampled_from(["A", "B", "C"])
ENTRIES = st.lists(
    st.one_of(
        SMALL_NAMES.map(handler),
        SMALL_NAMES.map(lambda name: f'<remove name="{name}"/>'),
        st.just("<clear/>"),
    ),
    max_size=6,
)


@given(ENTRIES, ENTRIES, st.sampled_from(["", "x", "x/y"]))
def test_a_plan_never_has_one_handler_twice_and_is_the_same_each_time(
    root: list[str], below: list[str], folder: str
) -> None:
    files = {"x/y": configuration(handlers(*below))}
    plan = compiled(configuration(handlers(*root)), folders=files)

    assert plan == compiled(configuration(handlers(*root)), folders=files)
    for path in {rule.folder for rule in plan.rules}:
        found = [rule.action.handler for rule in rules(plan, path) if isinstance(rule.action, FastCgi)]
        assert len(found) == len(set(found))


@given(st.text(alphabet="<>/=\"' \nabcdelhnorst*.?", max_size=120))
def test_no_text_makes_compiling_fail(text: str) -> None:
    compiled(f"<configuration>{text}</configuration>", folders={"a": text})
