"""Who may publish, through the real front: new passwords, the switch for basic authentication, the user of all sites."""

import subprocess
from collections.abc import Callable

from acceptance.running import HOMEPORT, Platform

Make = Callable[..., str]


def status(platform: Platform, site: str, user: str, password: str) -> int:
    with platform.client(f"{site}.scm.localhost", auth=(user, password)) as scm:
        return scm.get("/api/settings").status_code


def test_an_old_password_is_worthless_at_once(platform: Platform, make_site: Make) -> None:
    site = make_site("rotated", runtime="")
    before = platform.json("site", "show", site)["publishing"]
    assert status(platform, site, before["user"], before["password"]) == 200

    after = platform.json("site", "reset-credentials", site)

    assert status(platform, site, before["user"], before["password"]) == 401
    assert status(platform, site, after["user"], after["password"]) == 200
    assert after["password"] in platform.homeport("publish-profile", site).stdout


def test_without_basic_authentication_commands_say_how_to_switch_it_on(
    platform: Platform, make_site: Make
) -> None:
    site = make_site("closed", runtime="")
    publishing = platform.json("site", "show", site)["publishing"]
    platform.homeport("site", "basic-auth", site, "--no-scm")

    refused = platform.homeport("logs", site, check=False)

    assert status(platform, site, publishing["user"], publishing["password"]) == 401
    assert refused.returncode == 1
    assert f"homeport site basic-auth {site} --scm" in refused.stderr
    platform.homeport("site", "basic-auth", site, "--scm")
    assert status(platform, site, publishing["user"], publishing["password"]) == 200


def test_the_user_of_every_site_signs_in_to_each(platform: Platform, make_site: Make) -> None:
    sites = [make_site(name, runtime="") for name in ("shared-a", "shared-b")]
    subprocess.run(
        [HOMEPORT, "publishing-user", "set", "ci-bot", "--data", str(platform.data)],
        input="a long password\n",
        text=True,
        check=True,
        capture_output=True,
        timeout=60,
    )

    assert [status(platform, site, "ci-bot", "a long password") for site in sites] == [200, 200]
    assert status(platform, sites[0], f"{sites[0]}\\ci-bot", "a long password") == 200
    platform.homeport("publishing-user", "remove")
    assert status(platform, sites[0], "ci-bot", "a long password") == 401
