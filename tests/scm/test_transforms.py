"""web.<configuration>.config at a deployment, over the real process (IIS reference §6.5)."""

from collections.abc import Callable

from conftest import ScmProcess

CONFIG = (
    '<configuration>\n  <appSettings>\n    <add key="A" value="1"/>\n  </appSettings>\n</configuration>\n'
)
RELEASE = """<configuration xmlns:xdt="http://schemas.microsoft.com/XML-Document-Transform">
  <appSettings><add key="A" value="2" xdt:Transform="{}" xdt:Locator="Match(key)"/></appSettings>
</configuration>
"""


def test_the_configuration_of_the_build_chooses_the_transform(start_scm: Callable[..., ScmProcess]) -> None:
    scm = start_scm(SCM_BUILD_ARGS='/p:Optimize=true "/p:Configuration=Release"')
    files = {"Web.config": CONFIG, "web.release.config": RELEASE.format("SetAttributes")}
    assert scm.deploy(files).status_code == 200
    assert (scm.web_root / "Web.config").read_text() == CONFIG.replace("1", "2")
    assert "Applied web.release.config to web.config." in scm.log_text(scm.latest()["id"])


def test_without_a_configuration_nothing_is_transformed(scm: ScmProcess) -> None:
    scm.deploy({"web.config": CONFIG, "web.release.config": RELEASE.format("SetAttributes")})
    assert (scm.web_root / "web.config").read_text() == CONFIG


def test_a_failing_transform_fails_the_deployment_and_leaves_what_is_served(
    start_scm: Callable[..., ScmProcess],
) -> None:
    scm = start_scm(SCM_BUILD_ARGS="-p:Configuration=Release")
    scm.deploy({"web.config": CONFIG, "app.py": "old"})
    scm.deploy({"web.config": CONFIG, "app.py": "new", "web.release.config": RELEASE.format("Marge")})
    assert (scm.web_root / "app.py").read_text() == "old"
    text = scm.log_text(scm.latest()["id"])
    assert "web.release.config could not be applied to web.config." in text
    assert "web.release.config:2:39: error: Could not resolve 'Marge'" in text


def test_a_package_without_that_transform_is_deployed_as_it_is(start_scm: Callable[..., ScmProcess]) -> None:
    scm = start_scm(SCM_BUILD_ARGS="/p:Configuration=Release")
    scm.deploy({"web.config": CONFIG})
    assert (scm.web_root / "web.config").read_text() == CONFIG
    assert "There is no web.release.config to apply." in scm.log_text(scm.latest()["id"])
