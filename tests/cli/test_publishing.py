"""`homeport publish-profile`, `site reset-credentials`, `site basic-auth` and `publishing-user`, as typed."""

from xml.etree import ElementTree

from .conftest import Keyboard


def test_a_profile_is_one_line_of_xml_with_the_sites_password(hello: Keyboard) -> None:
    password = hello.json("site", "show", "hello")["publishing"]["password"]

    done = hello.type("publish-profile", "hello")

    (profile,) = ElementTree.fromstring(done.stdout)
    assert profile.get("publishMethod") == "ZipDeploy"
    assert profile.get("userPWD") == password
    assert "scm" in profile.get("publishUrl", "")
    assert done.stdout.count("\n") == 1
    hello.type("publish-profile", "hello", "--format", "nonsense", status=1)


def test_credentials_are_reset_and_basic_authentication_is_switched(hello: Keyboard) -> None:
    before = hello.json("site", "show", "hello")["publishing"]["password"]

    after = hello.json("site", "reset-credentials", "hello")["password"]

    assert after != before
    assert hello.type("site", "basic-auth", "hello", "--no-scm").stdout.split() == ["scm", "off", "ftp", "on"]
    assert hello.json("site", "basic-auth", "hello", "--scm", "--no-ftp") == {"scm": True, "ftp": False}


def test_the_user_of_every_site_is_made_from_standard_input(hello: Keyboard) -> None:
    made = hello.type("publishing-user", "set", "deploy-bot", typed="a long password\n")

    assert "a long password" not in made.stdout + made.stderr
    assert hello.type("publishing-user", "show").stdout == "deploy-bot\n"
    hello.type("publishing-user", "remove")
    assert "there is none" in hello.type("publishing-user", "show").stdout
