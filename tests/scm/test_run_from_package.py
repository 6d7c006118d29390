"""Running from a package (Kudu reference §3.6)."""

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import ScmProcess, packed


def tree(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_the_package_is_the_content_and_is_named(start_scm: Callable[..., ScmProcess]) -> None:
    scm = start_scm(WEBSITE_RUN_FROM_PACKAGE="1", SCM_DO_BUILD_DURING_DEPLOYMENT="true")
    (scm.web_root / "upload.txt").write_text("mine")

    scm.deploy({"app.py": "1", "requirements.txt": "none-such==5"})

    assert scm.latest()["status"] == 4, scm.log_text(scm.latest()["id"])
    assert tree(scm.web_root) == {"app.py": "1", "requirements.txt": "none-such==5"}
    folder = scm.home / "data/SitePackages"
    name = (folder / "packagename.txt").read_text()
    assert len(name.removesuffix(".zip")) == 14
    assert (folder / name).read_bytes() == packed({"app.py": "1", "requirements.txt": "none-such==5"})


def test_the_content_is_read_only_to_files_clients(start_scm: Callable[..., ScmProcess]) -> None:
    scm = start_scm(WEBSITE_RUN_FROM_PACKAGE="1")
    scm.client.put("/api/vfs/site/wwwroot/before.txt", content=b"x")
    scm.deploy({"app.py": "1"})

    put = scm.client.put("/api/vfs/site/wwwroot/app.py", content=b"2", headers={"If-Match": "*"})
    deleted = scm.client.delete("/api/vfs/site/wwwroot/app.py", headers={"If-Match": "*"})
    unpacked = scm.client.put("/api/zip/site/wwwroot/", content=packed({"app.py": "2"}))

    assert (put.status_code, deleted.status_code, unpacked.status_code) == (409, 409, 409)
    assert "WEBSITE_RUN_FROM_PACKAGE" in put.json()["Message"]
    assert tree(scm.web_root) == {"app.py": "1"}
    assert scm.client.put("/api/vfs/data/x.txt", content=b"x").status_code == 201


def test_what_the_package_hid_is_back_when_the_setting_is_gone(start_scm: Callable[..., ScmProcess]) -> None:
    scm = start_scm()
    (scm.web_root / "upload.txt").write_text("mine")
    scm.client.post("/api/settings", json={"WEBSITE_RUN_FROM_PACKAGE": "1"})
    scm.deploy({"first.py": "1"})
    scm.deploy({"second.py": "1"})
    assert tree(scm.web_root) == {"second.py": "1"}

    scm.client.delete("/api/settings/WEBSITE_RUN_FROM_PACKAGE")
    scm.deploy({"third.py": "1"})

    assert tree(scm.web_root) == {"upload.txt": "mine", "third.py": "1"}
    assert not (scm.home / "data/.homeport/under-package").exists()


def test_older_packages_go(start_scm: Callable[..., ScmProcess]) -> None:
    scm = start_scm(WEBSITE_RUN_FROM_PACKAGE="1", SCM_MAX_ZIP_PACKAGE_COUNT="2")
    folder = scm.home / "data/SitePackages"
    folder.mkdir(parents=True)
    for year in range(2000, 2005):
        (folder / f"{year}0101000000.zip").write_bytes(b"")

    scm.deploy({"app.py": "1"})

    assert len(list(folder.glob("*.zip"))) == 2


def test_a_published_zip_ignores_its_path_and_a_command_goes_first(
    start_scm: Callable[..., ScmProcess],
) -> None:
    scm = start_scm(WEBSITE_RUN_FROM_PACKAGE="1")

    scm.client.post("/api/publish?type=zip&path=sub", content=packed({"app.py": "1"}))
    assert tree(scm.web_root) == {"app.py": "1"}

    scm.client.post("/api/settings", json={"COMMAND": "copy app.py %DEPLOYMENT_TARGET%\\out.py"})
    scm.deploy({"app.py": "2"})
    assert tree(scm.web_root) == {"app.py": "1", "out.py": "2"}


def test_a_broken_package_leaves_the_one_before(start_scm: Callable[..., ScmProcess]) -> None:
    scm = start_scm(WEBSITE_RUN_FROM_PACKAGE="1")
    scm.deploy({"app.py": "1"})
    name = (scm.home / "data/SitePackages/packagename.txt").read_text()

    assert scm.deploy(b"no zip").status_code == 500

    assert tree(scm.web_root) == {"app.py": "1"}
    assert (scm.home / "data/SitePackages/packagename.txt").read_text() == name


class Packages(http.server.ThreadingHTTPServer):
    """A web server whose only file is a package, None while it is away."""

    package: bytes | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/app.zip?sig=secret"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Packages

    def do_GET(self) -> None:
        package = self.server.package
        self.send_response(404 if package is None else 200)
        self.end_headers()
        self.wfile.write(package or b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def packages() -> Iterator[Packages]:
    with Packages(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class TestAddress:
    """The setting is the address of the package."""

    def test_the_package_is_fetched_when_asked_and_served_read_only(
        self, start_scm: Callable[..., ScmProcess], packages: Packages
    ) -> None:
        scm = start_scm(
            WEBSITE_RUN_FROM_PACKAGE=packages.address, COMMAND="exit 1", SCM_DO_BUILD_DURING_DEPLOYMENT="true"
        )
        (scm.web_root / "upload.txt").write_text("mine")
        packages.package = packed({"app.py": "1", "requirements.txt": "none-such==5"})

        answer = scm.client.post("/api/homeport/package")

        assert answer.status_code == 200
        assert scm.latest()["status"] == 4, scm.log_text(scm.latest()["id"])
        assert tree(scm.web_root) == {"app.py": "1", "requirements.txt": "none-such==5"}
        put = scm.client.put("/api/vfs/site/wwwroot/app.py", content=b"2", headers={"If-Match": "*"})
        assert put.status_code == 409
        assert scm.deploy({"app.py": "pushed"}).status_code == 409
        assert "secret" not in scm.client.get("/api/deployments").text + scm.log_text(scm.latest()["id"])

    def test_only_another_package_is_deployed_again(
        self, start_scm: Callable[..., ScmProcess], packages: Packages
    ) -> None:
        scm = start_scm(WEBSITE_RUN_FROM_PACKAGE=packages.address)
        for text in ("1", "1", "2"):
            packages.package = packed({"app.py": text})
            assert scm.client.post("/api/homeport/package").status_code == 200
        assert tree(scm.web_root) == {"app.py": "2"}
        assert len(scm.client.get("/api/deployments").json()) == 2

    @pytest.mark.parametrize("package", [None, b"no zip", packed({"../out.py": "x"})])
    def test_one_that_cannot_be_had_leaves_the_content_and_a_record_that_says_why(
        self, start_scm: Callable[..., ScmProcess], packages: Packages, package: bytes | None
    ) -> None:
        scm = start_scm(WEBSITE_RUN_FROM_PACKAGE=packages.address)
        packages.package = packed({"app.py": "1"})
        scm.client.post("/api/homeport/package")
        packages.package = package

        answer = scm.client.post("/api/homeport/package")

        assert answer.status_code in (400, 502)
        assert tree(scm.web_root) == {"app.py": "1"}
        record = scm.latest()
        assert (record["status"], record["deployer"]) == (3, "RunFromPackage")
        assert record["status_text"] in answer.text
        assert "secret" not in answer.text + scm.log_text(record["id"])
        packages.package = packed({"app.py": "2"})
        assert scm.client.post("/api/homeport/package").status_code == 200
        assert tree(scm.web_root) == {"app.py": "2"}

    def test_a_site_without_an_address_is_told_so(self, scm: ScmProcess) -> None:
        answer = scm.client.post("/api/homeport/package")
        assert (answer.status_code, "WEBSITE_RUN_FROM_PACKAGE" in answer.text) == (409, True)
