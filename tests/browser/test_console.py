"""The console in a real browser: terminal and files together (Kudu reference §10.2)."""

import io
import re
import zipfile

from playwright.sync_api import BrowserContext, Page, expect

from .conftest import Scm, drop_file, type_line

_FITS = """() => {
    const bottom = (name) => document.querySelector(name).getBoundingClientRect().bottom;
    return bottom(".xterm-screen") <= bottom("#terminal");
}"""


def open_console(page: Page, scm: Scm, query: str = "") -> None:
    page.goto(f"{scm.address}/DebugConsole{query}")
    expect(page.locator(".xterm-rows")).to_contain_text(re.compile(r"D:\\home.*>|\$|#"))


def test_a_new_user_installs_packages_as_the_documentation_shows(page: Page, scm: Scm) -> None:
    (scm.home / "site/wwwroot/requirements.txt").write_text("# nothing needed\n")
    open_console(page, scm)

    type_line(page, r"cd D:\home\python3117x64")
    expect(page.locator(".crumbs")).to_contain_text("python3117x64")
    expect(page.locator("#folder")).to_contain_text("python.exe")
    type_line(page, "python.exe -m pip list")
    expect(page.locator(".xterm-rows")).to_contain_text("wfastcgi")
    type_line(
        page,
        r"python.exe -m pip install --upgrade -r d:\home\site\wwwroot\requirements.txt && echo all is well",
    )
    expect(page.locator(".xterm-rows > div", has_text=re.compile(r"^all is well\s*$"))).to_be_visible()
    type_line(page, 'python.exe -c "import sys; print(sys.version_info[:2])"')
    expect(page.locator(".xterm-rows")).to_contain_text("(3, 11)")


def test_the_terminal_goes_where_the_file_browser_goes(page: Page, scm: Scm) -> None:
    open_console(page, scm)

    page.get_by_role("button", name="wwwroot").click()

    expect(page.locator(".xterm-rows")).to_contain_text(r"D:\home\site\wwwroot>")
    page.get_by_role("link", name="site", exact=True).click()
    expect(page.locator(".xterm-rows")).to_contain_text(r"D:\home\site>")


def test_the_console_is_used_without_a_mouse(page: Page, scm: Scm) -> None:
    open_console(page, scm)
    expect(page.get_by_label("Terminal; Ctrl+M leaves it")).to_be_focused()

    page.keyboard.press("Control+m")

    expect(page.get_by_role("link", name="CMD")).to_be_focused()
    page.get_by_role("link", name="site", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator(".xterm-rows")).to_contain_text(r"D:\home\site>")
    expect(page.locator(".crumbs [aria-current=location]")).to_be_focused()
    page.keyboard.press("Tab")  # to the folder above
    page.keyboard.press("Tab")
    expect(page.locator("#folder tbody tr:nth-child(2) a").first).to_be_focused()


def test_bash_is_there_too(page: Page, scm: Scm) -> None:
    open_console(page, scm, "/?shell=bash")

    type_line(page, "cd site/wwwroot && echo $((6 * 7)) answers")

    expect(page.locator(".xterm-rows")).to_contain_text("42 answers")
    expect(page.locator(".crumbs")).to_contain_text("wwwroot")


def test_a_dropped_file_is_uploaded_and_a_dropped_zip_unpacked(page: Page, scm: Scm) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as package:
        package.writestr("inside/page.html", "unpacked")
    open_console(page, scm, "?path=site/wwwroot/")

    drop_file(page, "#drop-here", "dropped.txt", b"dropped")
    expect(page.locator("#folder")).to_contain_text("dropped.txt")
    drop_file(page, "#drop-zip", "some.zip", packed.getvalue())
    expect(page.locator("#folder")).to_contain_text("inside")

    assert (scm.home / "site/wwwroot/dropped.txt").read_bytes() == b"dropped"
    assert (scm.home / "site/wwwroot/inside/page.html").read_text() == "unpacked"


def test_every_row_of_the_terminal_is_in_sight(page: Page, scm: Scm) -> None:
    open_console(page, scm)
    for height in range(700, 730, 3):
        page.set_viewport_size({"width": 1280, "height": height})
        page.wait_for_function(_FITS)


def test_the_terminal_takes_the_size_of_its_window(page: Page, scm: Scm) -> None:
    open_console(page, scm)
    type_line(page, r"cd D:\home\python3117x64")
    expect(page.locator(".crumbs")).to_contain_text("python3117x64")

    sizes: list[list[int]] = []
    for width, height in ((1280, 800), (900, 600)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_function(_FITS)
        type_line(page, f'python.exe -c "import shutil; print({width}, *shutil.get_terminal_size())"')
        answer = page.locator(".xterm-rows > div", has_text=re.compile(rf"^{width} \d+ \d+\s*$"))
        expect(answer).to_be_visible()
        sizes.append([int(number) for number in answer.inner_text().split()[1:]])
        assert sizes[-1][1] == page.locator(".xterm-rows > div").count()

    assert sizes[0] != sizes[1]
    expect(page.locator(".xterm-viewport")).to_have_css("background-color", "rgba(0, 0, 0, 0)")


def test_text_is_pasted_into_the_terminal_and_copied_from_it(
    page: Page, context: BrowserContext, scm: Scm
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_console(page, scm)
    page.evaluate("navigator.clipboard.writeText('echo cop-ied')")

    page.locator(".xterm-helper-textarea").focus()
    page.keyboard.press("Control+v")
    expect(page.locator(".xterm-rows")).to_contain_text("echo cop-ied")
    page.keyboard.press("Enter")
    output = page.locator(".xterm-rows > div", has_text=re.compile(r"^cop-ied"))
    expect(output).to_be_visible()
    output.dblclick(position={"x": 20, "y": 8}, force=True)  # what takes the mouse lies above the rows
    page.keyboard.press("Control+c")

    page.wait_for_function("async () => (await navigator.clipboard.readText()).trim() === 'cop-ied'")
    page.get_by_role("button", name="Paste").click()
    expect(page.locator(".xterm-rows")).to_contain_text(">cop-ied")


def test_a_file_and_a_folder_are_downloaded(page: Page, scm: Scm) -> None:
    scm.platform.write("shown", {"taken/inside.txt": "to take home"})
    open_console(page, scm, "?path=site/wwwroot/")

    with page.expect_download() as folder:
        page.get_by_role("link", name="Download taken").click()
    page.locator("#folder").get_by_role("link", name="taken", exact=True).click()
    with page.expect_download() as file:
        page.get_by_role("link", name="Download inside.txt").click()

    with zipfile.ZipFile(folder.value.path()) as archive:
        assert archive.read("inside.txt") == b"to take home"
    assert folder.value.suggested_filename == "taken.zip"
    assert file.value.path().read_bytes() == b"to take home"
    assert file.value.suggested_filename == "inside.txt"


def test_a_folder_on_a_page_of_its_own_has_no_button_without_effect(page: Page, scm: Scm) -> None:
    page.goto(f"{scm.address}/files/site/")

    expect(page.get_by_role("link", name="Download wwwroot")).to_be_visible()
    expect(page.locator(".actions button:visible")).to_have_count(0)


def test_files_are_made_renamed_found_and_deleted(page: Page, scm: Scm) -> None:
    open_console(page, scm, "?path=data/")
    page.get_by_role("button", name="New folder").click()
    page.locator("#ask-text").fill("my folder")
    page.get_by_role("button", name="Create").click()
    page.locator("#folder").get_by_role("link", name="my folder", exact=True).click()
    expect(page.locator(".crumbs")).to_contain_text("my folder")

    page.get_by_role("button", name="New file").click()
    page.locator("#ask-text").fill("first.txt")
    page.keyboard.press("Enter")
    expect(page.locator("#editor")).to_be_visible()
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Rename first.txt").click()
    page.locator("#ask-text").fill("second.txt")
    page.keyboard.press("Enter")
    expect(page.locator("#folder")).to_contain_text("second.txt")
    page.locator("#search").fill("SECOND")
    expect(page.locator("#folder .name")).to_have_count(1)
    page.get_by_role("button", name="Delete second.txt").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator("#folder")).to_contain_text("Nothing found.")

    assert list((scm.home / "data/my folder").iterdir()) == []


def test_saving_over_somebody_elses_change_needs_a_decision(page: Page, scm: Scm) -> None:
    file = scm.home / "site/wwwroot/notes.txt"
    scm.platform.write("shown", {"notes.txt": "line one\r\nline two\r\n"})
    open_console(page, scm, "?path=site/wwwroot/")
    page.get_by_role("link", name="notes.txt", exact=True).click()
    area = page.locator("#editor-text")
    expect(area).to_have_css("font-family", re.compile("monospace"))
    expect(area).to_have_value("line one\nline two\n")
    area.fill(area.input_value() + "mine\n")
    scm.platform.write("shown", {"notes.txt": "theirs\r\n"})

    page.get_by_role("button", name="Save").click()
    expect(page.locator("#conflict")).to_be_visible()
    assert file.read_bytes() == b"theirs\r\n"

    page.get_by_role("button", name="Overwrite it with mine").click()
    expect(page.locator("#editor-state")).to_have_text("Saved")
    assert file.read_bytes() == b"line one\r\nline two\r\nmine\r\n"


def test_hostile_names_and_output_stay_text(page: Page, scm: Scm) -> None:
    scm.platform.write("shown", {"%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E.txt": "x"})
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    open_console(page, scm, "?path=site/wwwroot/")

    expect(page.get_by_role("link", name="<img src=x onerror=alert(1)>.txt", exact=True)).to_be_visible()
    type_line(page, 'echo "<script>alert(2)</script>"')
    expect(page.locator(".xterm-rows")).to_contain_text("<script>alert(2)</script>")

    assert page.locator("#folder img, .xterm-rows script").count() == 0
    assert dialogs == []


def test_ctrl_c_interrupts_and_a_new_shell_comes_with_enter(page: Page, scm: Scm) -> None:
    open_console(page, scm)

    type_line(page, "echo begun & sleep 1000")
    expect(page.locator(".xterm-rows > div", has_text=re.compile(r"^begun"))).to_be_visible()
    page.keyboard.press("Control+c")
    type_line(page, "exit")
    expect(page.locator(".xterm-rows")).to_contain_text("Press Enter")
    page.keyboard.press("Enter")
    expect(page.locator(".xterm-rows")).to_contain_text(re.compile(r"Press Enter.*D:\\home>", re.DOTALL))
