"""Each transform and locator, by what it does to a document and what it says where it cannot."""

import pytest

from homeport.model.finding import Severity
from homeport.webconfig.xdt import apply_transform
from webconfig.xdt.texts import NAMESPACE, changed, errors, transform, warnings

SETTINGS = """<configuration>
  <!-- kept -->
  <appSettings>
    <add key="A" value='1'/>
    <add key="B"
         value="2" />
  </appSettings>
</configuration>
"""


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            '<appSettings><add key="A" value="9" xdt:Transform="Replace" xdt:Locator="Match(key)"/></appSettings>',
            SETTINGS.replace("""<add key="A" value='1'/>""", '<add key="A" value="9"/>'),
        ),
        (
            '<appSettings><add key="A" xdt:Transform="Remove" xdt:Locator="Match(key)"/></appSettings>',
            SETTINGS.replace("""\n    <add key="A" value='1'/>""", ""),
        ),
        (
            '<appSettings><add xdt:Transform="RemoveAll"/></appSettings>',
            SETTINGS[: SETTINGS.index("<appSettings>")] + "<appSettings></appSettings>\n</configuration>\n",
        ),
        (
            '<appSettings><add key="C" value="3" xdt:Transform="Insert"/></appSettings>',
            SETTINGS.replace('"2" />\n', '"2" />\n    <add key="C" value="3"/>\n'),
        ),
        (
            '<appSettings><add key="A" value="3" xdt:Transform="InsertIfMissing" xdt:Locator="Match(key)"/></appSettings>',
            SETTINGS,
        ),
        (
            '<appSettings><add key="a" value="3" xdt:Transform="InsertIfMissing" xdt:Locator="Match(key)"/></appSettings>',
            SETTINGS.replace('"2" />\n', '"2" />\n    <add key="a" value="3"/>\n'),
        ),
        (
            '<appSettings><add key="0" value="" xdt:Transform="InsertBefore(/configuration/appSettings/add)"/></appSettings>',
            SETTINGS.replace('    <add key="A"', '    <add key="0" value=""/>\n    <add key="A"'),
        ),
        (
            '<appSettings><add key="1" value="" xdt:Transform="InsertAfter(/configuration/appSettings/add[@key=\'A\'])"/></appSettings>',
            SETTINGS.replace('    <add key="B"', '    <add key="1" value=""/>\n    <add key="B"'),
        ),
        (
            '<appSettings><add key="9" value="" xdt:Transform="InsertAfter(add[last()])"/></appSettings>',
            SETTINGS.replace('"2" />\n', '"2" />\n    <add key="9" value=""/>\n'),
        ),
        (
            '<appSettings><add key="B" value="5" xdt:Transform="SetAttributes" xdt:Locator="Match(key)"/></appSettings>',
            SETTINGS.replace('"2" />', '"5" />'),
        ),
        (
            '<appSettings><add value="&lt;5&quot;\'" xdt:Transform="SetAttributes(value)" xdt:Locator="Condition(@key=\'A\')"/></appSettings>',
            SETTINGS.replace("'1'", "'&lt;5\"&apos;'"),
        ),
        (
            '<appSettings><add note="x" xdt:Transform="SetAttributes"/></appSettings>',
            SETTINGS.replace("'1'/>", "'1' note=\"x\"/>").replace('"2" />', '"2" note="x" />'),
        ),
        (
            '<appSettings><add xdt:Transform="RemoveAttributes(value)"/></appSettings>',
            SETTINGS.replace(" value='1'", "").replace('\n         value="2"', ""),
        ),
        (
            '<appSettings><add xdt:Transform="RemoveAttributes" xdt:Locator="XPath(.[@key=\'B\'])"/></appSettings>',
            None,
        ),
        (
            '<appSettings><add value="$(key)-$(none)" xdt:Transform="SetTokenizedAttributes(value)"/></appSettings>',
            SETTINGS.replace("'1'", "'A-$(none)'").replace('"2"', '"B-$(none)"'),
        ),
        (
            '<appSettings xdt:Transform="CommentOut"/>',
            SETTINGS.replace("<appSettings>", "<!--<appSettings>").replace(
                "</appSettings>", "</appSettings>-->"
            ),
        ),
        (
            '<appSettings><add key="X" value="" xdt:Transform="Insert" xdt:Locator="XPath(/configuration)"/></appSettings>',
            SETTINGS.replace("</appSettings>\n", '</appSettings>\n  <add key="X" value=""/>\n'),
        ),
    ],
)
def test_a_transform_changes_what_it_names_and_nothing_else(changes: str, expected: str | None) -> None:
    if expected is None:
        assert errors(transform(SETTINGS, changes))  # `.[…]` is no XPath 1.0
        return
    assert changed(SETTINGS, changes) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ('<none xdt:Transform="Remove"/>', "No element in the document matches '/configuration/none'."),
        (
            '<none><deep xdt:Transform="Replace"/></none>',
            "No element in the document matches '/configuration/none'.",
        ),
        (
            '<appSettings><add key="A" xdt:Transform="Remove"/></appSettings>',
            "2 elements match '/configuration/appSettings/add'; Remove changes the first alone.",
        ),
        (
            '<appSettings xdt:Transform="SetAttributes(file)"/>',
            "The element of the transform has no attribute 'file', which SetAttributes names.",
        ),
        (
            '<appSettings xdt:Transform="RemoveAttributes(file)"/>',
            "<appSettings> has no attribute 'file', which RemoveAttributes names.",
        ),
        ('<appSettings xdt:Transform="Remove(x)"/>', "Remove takes no arguments; they are ignored."),
        ("<xdt:Wonder/>", "<xdt:Wonder> is no element of XDT."),
        (
            '<appSettings xdt:Transform="Remove"/><appSettings xdt:Transform="Remove"/>',
            "What matched '/configuration/appSettings' was changed or removed by an earlier transform.",
        ),
    ],
)
def test_what_matches_nothing_or_too_much_is_a_warning(changes: str, message: str) -> None:
    result = transform(SETTINGS, changes)
    assert warnings(result) == [message]
    assert result.succeeded


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            '<none><deep xdt:Transform="Insert"/></none>',
            "No element in the document matches '/configuration/none'.",
        ),
        (
            '<appSettings xdt:Transform="Merge"/>',
            "Could not resolve 'Merge': it is no Transform of XDT.",
        ),
        ('<appSettings xdt:Transform="remove"/>', "Could not resolve 'remove': it is no Transform of XDT."),
        ('<appSettings xdt:Locator="Named(x)"/>', "Could not resolve 'Named': it is no Locator of XDT."),
        (
            '<appSettings xdt:Transform="Remove now"/>',
            "xdt:Transform is 'Remove now'; it must be a name, or a name and a list in parentheses.",
        ),
        (
            '<appSettings><add xdt:Transform="InsertBefore"/></appSettings>',
            "InsertBefore takes exactly one argument and has 0.",
        ),
        (
            '<appSettings><add xdt:Transform="InsertAfter(a,b)"/></appSettings>',
            "InsertAfter takes exactly one argument and has 2.",
        ),
        (
            '<appSettings><add xdt:Transform="InsertAfter(/configuration/none)"/></appSettings>',
            "No element in the document matches '/configuration/none'.",
        ),
        (
            '<appSettings><add xdt:Transform="InsertAfter(add/@key)"/></appSettings>',
            "'add/@key' matches no element but the attribute 'key'.",
        ),
        (
            '<appSettings><add xdt:Locator="Match(key)"/></appSettings>',
            "<add> of the transform has no attribute 'key', which Match names.",
        ),
        (
            '<appSettings><add key="it\'s" xdt:Locator="Match(key)"/></appSettings>',
            "The value of 'key' holds an apostrophe, with which Match cannot look for it.",
        ),
        (
            '<appSettings xdt:Locator="Condition(@a=)" xdt:Transform="Remove"/>',
            "'/configuration/appSettings[@a=]' is no XPath expression: ']' is not expected there.",
        ),
        (
            '<appSettings xdt:Locator="XPath(count(//add))" xdt:Transform="Remove"/>',
            "'/configuration/appSettings/count(//add)' is no XPath expression: '(' is not expected there.",
        ),
        (
            '<xdt:Import assembly="Evil" namespace="Evil"/>',
            "<Import> loads transforms written for .NET, which cannot run here.",
        ),
    ],
)
def test_what_cannot_be_applied_is_an_error_at_its_place(changes: str, message: str) -> None:
    result = transform(SETTINGS, changes)
    assert errors(result) == [message]
    assert not result.succeeded
    assert result.findings[0].file == "web.debug.config"
    assert result.findings[0].line == 1


def test_an_error_names_the_line_and_column_of_the_attribute() -> None:
    text = f'<configuration xmlns:x="{NAMESPACE}">\n  <appSettings>\n    <add key="A"\n         x:Transform="Mrege"/>\n  </appSettings>\n</configuration>'
    result = apply_transform(SETTINGS.encode(), text.encode(), source_file="a", transform_file="b")
    assert [str(each).partition(": ")[0] for each in result.findings] == ["b:4:10"]


def test_the_other_transforms_still_run_after_an_error() -> None:
    result = transform(
        SETTINGS, '<none><x xdt:Transform="Insert"/></none><appSettings xdt:Transform="Remove"/>'
    )
    assert result.text == "<configuration>\n  <!-- kept -->\n</configuration>\n"
    assert len(errors(result)) == 1


def test_the_roots_own_element_cannot_go() -> None:
    text = f'<configuration xmlns:xdt="{NAMESPACE}" xdt:Transform="{{}}"/>'
    for name in ("Remove", "CommentOut", "Insert"):
        result = apply_transform(
            b"<configuration/>", text.format(name).encode(), source_file="a", transform_file="b"
        )
        assert len(errors(result)) == 1, name


def test_a_transform_without_the_namespace_changes_nothing_and_succeeds() -> None:
    result = apply_transform(
        SETTINGS.encode(),
        b"<configuration><appSettings/></configuration>",
        source_file="a",
        transform_file="b",
    )
    assert result.text == SETTINGS
    assert result.succeeded
    assert [each.severity for each in result.findings] == [Severity.INFO]


def test_warnings_can_be_silenced_for_one_element() -> None:
    result = transform(
        SETTINGS, '<none xdt:Transform="Remove" xdt:SupressWarnings="true"/><other xdt:Transform="Remove"/>'
    )
    assert len(warnings(result)) == 1


def test_a_later_transform_sees_what_an_earlier_one_made() -> None:
    text = changed(
        "<configuration/>",
        '<system.web xdt:Transform="InsertIfMissing"/>'
        '<system.web><httpRuntime xdt:Transform="InsertIfMissing"/></system.web>'
        '<system.web><httpRuntime targetFramework="4.5" xdt:Transform="SetAttributes(targetFramework)"/></system.web>',
    )
    assert 'targetFramework="4.5"' in text


def test_the_visual_studio_debug_template_runs() -> None:
    source = r"""<?xml version="1.0" encoding="utf-8"?>
<configuration>
  <appSettings>
    <add key="WSGI_HANDLER" value="app.wsgi_app"/>
  </appSettings>
  <system.webServer>
    <handlers>
      <add name="PythonHandler" path="*" verb="*"/>
    </handlers>
  </system.webServer>
</configuration>
"""
    debug = """
  <appSettings>
    <add key="WSGI_PTVSD_SECRET" value="secret" xdt:Transform="Insert"/>
  </appSettings>
  <system.web xdt:Transform="InsertIfMissing">
    <httpRuntime xdt:Transform="InsertIfMissing"/>
  </system.web>
  <system.web>
    <httpRuntime xdt:Transform="SetAttributes(targetFramework)" targetFramework="4.5"/>
  </system.web>
  <system.webServer xdt:Transform="InsertIfMissing">
    <handlers xdt:Transform="InsertIfMissing"/>
  </system.webServer>
  <system.webServer>
    <handlers>
      <add name="ptvsd" path="ptvsd" verb="*" resourceType="Unspecified"
           xdt:Transform="InsertBefore(/configuration/system.webServer/handlers/add)"/>
    </handlers>
  </system.webServer>
"""
    assert (
        changed(source, debug)
        == r"""<?xml version="1.0" encoding="utf-8"?>
<configuration>
  <appSettings>
    <add key="WSGI_HANDLER" value="app.wsgi_app"/>
    <add key="WSGI_PTVSD_SECRET" value="secret"/>
  </appSettings>
  <system.webServer>
    <handlers>
      <add name="ptvsd" path="ptvsd" verb="*" resourceType="Unspecified"/>
      <add name="PythonHandler" path="*" verb="*"/>
    </handlers>
  </system.webServer>
  <system.web>
    <httpRuntime targetFramework="4.5"/>
  </system.web>
</configuration>
"""
    )
    empty = "<configuration><appSettings/><system.webServer><handlers/></system.webServer></configuration>"
    assert errors(transform(empty, debug)) == [
        "No element in the document matches '/configuration/system.webServer/handlers/add'."
    ]


def test_an_insert_inside_an_insert_is_there_twice() -> None:
    text = changed("<configuration/>", '<a xdt:Transform="Insert"><b xdt:Transform="Insert"/></a>')
    assert text.count("<b/>") == 2


def test_a_namespaced_document_is_reached_by_a_namespaced_transform_only() -> None:
    source = '<configuration xmlns="urn:x"><appSettings/></configuration>'
    plain = transform(source, '<appSettings xdt:Transform="Remove"/>')
    assert len(warnings(plain)) == 1
    text = f'<configuration xmlns="urn:x" xmlns:xdt="{NAMESPACE}"><appSettings xdt:Transform="Remove"/></configuration>'
    result = apply_transform(source.encode(), text.encode(), source_file="a", transform_file="b")
    assert result.text == '<configuration xmlns="urn:x"></configuration>'


def test_what_is_inserted_stays_in_its_namespace() -> None:
    text = f'<configuration xmlns:y="urn:y" xmlns:xdt="{NAMESPACE}"><y:a xdt:Transform="Insert"/></configuration>'
    result = apply_transform(b"<configuration/>", text.encode(), source_file="a", transform_file="b")
    assert result.text is not None
    assert '<y:a xmlns:y="urn:y"/>' in result.text


def test_a_result_that_would_be_no_xml_is_an_error() -> None:
    inserted = '<a k="1" xdt:Other="x" y:k="2" xmlns:y="urn:y" xdt:Transform="Insert"/>'
    (message,) = errors(transform("<configuration/>", inserted))
    assert message.startswith("The result of the transform cannot be used: The file is no well-formed XML")


def test_windows_line_breaks_and_tabs_are_kept() -> None:
    source = "<configuration>\r\n\t<handlers/>\r\n</configuration>"
    assert changed(source, '<handlers><add name="a" xdt:Transform="Insert"/></handlers>') == (
        '<configuration>\r\n\t<handlers>\r\n\t\t<add name="a"/>\r\n\t</handlers>\r\n</configuration>'
    )


def test_hyphens_in_a_comment_are_set_apart_and_said() -> None:
    source = "<configuration><a><!-- x --></a></configuration>"
    result = transform(source, '<a xdt:Transform="CommentOut"/>')
    assert result.text == "<configuration><!--<a><!- - x - -></a>--></configuration>"
    assert len(warnings(result)) == 1
