"""What a site's processes find in their environment."""

from collections.abc import Mapping

import pytest

from homeport.model.site import DesiredSite, SiteName, SiteState
from homeport.node.site_environment import site_environment, with_references


def environment(
    settings: Mapping[str, str], *, scm: bool = False, windows_paths: bool = False
) -> dict[str, str]:
    site = DesiredSite(
        name=SiteName("hello"),
        uid=60001,
        state=SiteState.RUNNING,
        hostnames=("hello.localhost",),
        scm_hostnames=(),
        app_settings=settings,
    )
    return site_environment(site, instance="0", runtime=None, scm=scm, windows_paths=windows_paths)


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("DATABASE", r"D:\home\data\db.sqlite3", "/home/data/db.sqlite3"),
        ("LOGS", r"C:\home\LogFiles", "/home/LogFiles"),
        ("PYTHONPATH", r"D:\home\site\wwwroot;D:\home\lib", "/home/site/wwwroot:/home/lib"),
        ("URL", "https://example.org/a?b=%HOME%", "https://example.org/a?b=%HOME%"),
        ("TEXT", r"look into D:\home\data", r"look into D:\home\data"),
        ("LIST", r"D:\home\a;D:\home\b", r"D:\home\a;D:\home\b"),
        ("ELSEWHERE", r"E:\data", r"E:\data"),
        ("EMPTY", "", ""),
    ],
)
def test_a_setting_that_is_a_path_of_the_site_is_one_of_linux_for_the_application(
    name: str, value: str, found: str
) -> None:
    seen = environment({name: value})
    assert (seen[name], seen[f"APPSETTING_{name}"]) == (found, found)


def test_the_scm_site_has_settings_as_they_are_written() -> None:
    settings = {"DATABASE": r"D:\home\data"}
    assert environment(settings, scm=True, windows_paths=True)["DATABASE"] == r"D:\home\data"


def test_an_application_below_the_scm_site_has_its_settings_with_paths_of_linux() -> None:
    seen = environment({"SCMSITE_A": "1", "DATABASE": r"D:\home\data"}, scm=True)
    assert (seen["SCMSITE_A"], seen["DATABASE"], seen["APP_POOL_ID"]) == ("1", "/home/data", "~1hello")


def test_settings_of_one_of_the_two_sites_are_not_the_others() -> None:
    settings = {"SCMSITE_A": "1", "MAINSITE_B": "2", "C": "3"}
    assert {"MAINSITE_B", "C"} == settings.keys() & environment(settings).keys()
    assert {"SCMSITE_A", "C"} == settings.keys() & environment(settings, scm=True).keys()


def test_configured_values_may_refer_to_what_only_a_process_knows() -> None:
    written = {
        "PATH": "%PATH%:/home/tools",
        "ORIGIN": "https://%website_hostname%/",
        "KEPT": "100% %NOBODY% %(name)s %HTTP_PLATFORM_PORT%",
        "LONG": "%APPSETTING_LONG%" * 2,
    }
    known = environment({"LONG": "x" * 20_000})
    assert with_references(written, known) == {
        "PATH": f"{known['PATH']}:/home/tools",
        "ORIGIN": "https://hello.localhost/",
        "KEPT": written["KEPT"],
        "LONG": written["LONG"],
    }
