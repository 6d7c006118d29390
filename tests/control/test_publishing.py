"""Publish profiles, new passwords, the switches for basic authentication, the user of all sites."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.control.publish_profile import (
    ProfileFormat,
    PublishingPlaces,
    profile_format,
    render_publish_profile,
)
from homeport.model.errors import Invalid
from homeport.model.secret import Secret

from .running import Control, running_control

PLACES = PublishingPlaces(
    scm_host="wa1.scm.x:8443", site_url="https://wa1.x:8443", ftp_url="ftps://ftp.x/site/wwwroot"
)
ATTRIBUTES = {
    "profileName", "publishMethod", "publishUrl", "userName", "userPWD", "destinationAppUrl",
    "SQLServerDBConnectionString", "mySQLDBConnectionString", "hostingProviderForumLink", "controlPanelLink",
    "webSystem",
}  # fmt: skip


def entries(
    form: ProfileFormat, places: PublishingPlaces = PLACES, password: str = "p"
) -> list[dict[str, str]]:
    text = render_publish_profile("wa1", "$wa1", Secret(password), places, form=form)
    assert "\n" not in text
    root = ElementTree.fromstring(text)
    assert all(len(element.findall("databases")) == 1 for element in root)
    return [element.attrib for element in root]


def test_a_profile_names_the_scm_site_with_its_real_port() -> None:
    zipped, ftp = entries(ProfileFormat.WEB_DEPLOY)

    assert set(zipped) == ATTRIBUTES
    assert (zipped["publishMethod"], zipped["publishUrl"], zipped["userName"]) == (
        "ZipDeploy",
        "wa1.scm.x:8443",
        "$wa1",
    )
    assert (ftp["publishMethod"], ftp["userName"], ftp["ftpPassiveMode"]) == ("FTP", "wa1\\$wa1", "True")


def test_without_ftp_the_zip_entry_is_the_first_and_only_one() -> None:
    places = PublishingPlaces(scm_host="wa1.scm.x:443", site_url="https://wa1.x")

    assert [entry["publishMethod"] for entry in entries(ProfileFormat.WEB_DEPLOY, places)] == ["ZipDeploy"]
    with pytest.raises(Invalid, match="no FTP"):
        entries(ProfileFormat.FTP, places)


def test_web_deploy_is_claimed_only_for_clients_that_read_nothing_else() -> None:
    methods = [entry["publishMethod"] for entry in entries(ProfileFormat.KUDU_CLIENT)]

    assert methods == ["MSDeploy", "ZipDeploy", "FTP"]
    assert [entry["publishMethod"] for entry in entries(ProfileFormat.FTP)] == ["FTP"]


@given(st.text(alphabet=st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff")))
def test_any_password_survives_the_xml(password: str) -> None:
    assert entries(ProfileFormat.WEB_DEPLOY, password=password)[0]["userPWD"] == password


def test_formats_are_read_without_letter_case() -> None:
    assert profile_format(None) is ProfileFormat.WEB_DEPLOY
    assert profile_format("ftp") is ProfileFormat.FTP
    with pytest.raises(Invalid):
        profile_format("MSDeploy2")


def test_a_new_password_makes_the_old_profile_worthless(control: Control) -> None:
    before = control.call("POST", "/sites", 201, name="hello")["publishing"]
    assert before["password"] in control.http.get("/sites/hello/publish-profile").text

    after = control.call("POST", "/sites/hello/newpassword")["publishing"]

    assert after["password"] != before["password"]
    assert len(after["password"]) == 60
    assert control.authorize("hello", before["user"], before["password"]).status_code == 401
    assert control.authorize("hello", after["user"], after["password"]).status_code == 200
    profile = control.http.get("/sites/hello/publish-profile?format=KuduClient")
    assert profile.headers["content-type"].startswith("application/xml")
    assert after["password"] in profile.text
    assert before["password"] not in profile.text


def test_basic_authentication_is_switched_off_and_on(control: Control) -> None:
    site = control.call("POST", "/sites", 201, name="hello")["publishing"]
    assert site["basic_auth"] == {"scm": True, "ftp": True}

    assert control.call("PATCH", "/sites/hello/basic-auth", scm=False) == {"scm": False, "ftp": True}
    refused = control.authorize("hello", site["user"], site["password"])
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, 'Basic realm="site"')
    control.call("PATCH", "/sites/hello/basic-auth", scm=True)

    assert control.authorize("hello", site["user"], site["password"]).status_code == 200
    control.call("PATCH", "/sites/hello/basic-auth", 400, scm="no")
    control.call("PATCH", "/sites/hello/basic-auth", 400, ssh=False)
    control.call("PATCH", "/sites/none/basic-auth", 404, scm=False)


def test_one_user_may_publish_to_every_site(control: Control) -> None:
    for name in ("hello", "other"):
        control.call("POST", "/sites", 201, name=name)
    user = {"publishingUserName": "deploy-bot", "publishingPassword": "twelve chars!"}

    shown = control.call("PUT", "/publishing-user", **user)
    answers = [control.authorize(site, "deploy-bot", "twelve chars!") for site in ("hello", "other")]
    gone = control.http.delete("/publishing-user")

    assert shown == {"publishingUserName": "deploy-bot", "publishingPassword": None}
    assert [(answer.status_code, answer.headers["X-Homeport-User"]) for answer in answers] == [
        (200, "deploy-bot")
    ] * 2
    assert gone.status_code == 204
    assert control.authorize("hello", "deploy-bot", "twelve chars!").status_code == 401
    assert control.call("GET", "/publishing-user")["publishingUserName"] is None


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("$hello", "twelve chars!"),
        ("a\\b", "twelve chars!"),
        ("ab", "twelve chars!"),
        ("a:b", "twelve chars!"),
        ("good", "short"),
    ],
)
def test_a_user_who_could_be_taken_for_a_site_is_refused(control: Control, name: str, password: str) -> None:
    control.call("PUT", "/publishing-user", 400, publishingUserName=name, publishingPassword=password)


def test_neither_password_nor_profile_is_in_the_database_or_the_log(folder: Path) -> None:
    with running_control(folder) as control:
        control.http.put(
            "/publishing-user", json={"publishingUserName": "bot", "publishingPassword": "a-secret-in-plain"}
        )
        everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())

    assert b"a-secret-in-plain" not in everything
