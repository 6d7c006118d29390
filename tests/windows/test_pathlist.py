from homeport.windows.layout import Layout
from homeport.windows.pathlist import linux_path_list, map_path_list, split_path_list, windows_path_list
from homeport.windows.paths import Rule
from homeport.windows.variables import Unknown

LAYOUT = Layout()


def test_a_list_is_split_on_semicolons_and_never_on_colons() -> None:
    assert split_path_list(r'D:\a; "C:\b c" ;;x') == (r"D:\a", r"C:\b c", "x")


def test_every_item_is_mapped_in_order_and_what_has_no_path_stays_visible() -> None:
    items = map_path_list(r"D:\home\site\wwwroot;\\server\x;%HOME%\lib;E:\x", LAYOUT)

    assert [item.rule for item in items] == [Rule.HOME, Rule.REFUSED, Rule.HOME, Rule.UNMAPPED]
    assert linux_path_list(items) == "/home/site/wwwroot:/home/lib"


def test_a_variable_may_hold_several_items_and_an_unknown_one_can_vanish() -> None:
    items = map_path_list(
        r"%BOTH%;%NOPE%;%NOPE%\x", LAYOUT, variables={"BOTH": r"D:\home\a;D:\home\b"}, unknown=Unknown.ERASE
    )

    assert [item.posix for item in items] == ["/home/a", "/home/b", None]


def test_a_linux_list_is_shown_as_windows_text() -> None:
    assert windows_path_list("/home/bin:/usr/bin", LAYOUT) == r"D:\home\bin;/usr/bin"
