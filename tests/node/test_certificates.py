"""Which certificate is shown for which name, and when a new one is made."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from homeport.model.site import DesiredSite, SiteCertificate, SiteName, SiteState
from homeport.node.certificates import LocalAuthority, SiteCertificates


def desired(*names: str, **fields: object) -> DesiredSite:
    values: dict[str, object] = {"name": SiteName("hello"), "uid": 60001, "state": SiteState.RUNNING}
    return DesiredSite(**{**values, "hostnames": names, "scm_hostnames": (), **fields})  # type: ignore[arg-type]


def given(thumbprint: str, *names: str) -> SiteCertificate:
    return SiteCertificate(thumbprint=thumbprint, names=names, pem=f"pem of {thumbprint}")


def of_site(tmp_path: Path, domain: str = "localhost") -> SiteCertificates:
    return SiteCertificates(LocalAuthority(tmp_path), domain=domain, view=Path("/view"))


def names_in(path: Path) -> set[str]:
    leaf = x509.load_pem_x509_certificate(path.read_bytes())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(names.get_values_for_type(x509.DNSName))


def test_below_a_single_label_each_site_has_one_of_its_own(tmp_path: Path) -> None:
    files = of_site(tmp_path).files(desired("hello.localhost", "www.example.org"))

    assert files == dict.fromkeys(("hello.localhost", "www.example.org"), "/view/hello.pem")
    assert names_in(tmp_path / "hosts/hello.pem") == files.keys()


def test_below_a_domain_the_platforms_covers_every_site(tmp_path: Path) -> None:
    platform = LocalAuthority(tmp_path).issue_platform("apps.example.org")

    assert names_in(platform) == {"apps.example.org", "*.apps.example.org", "*.scm.apps.example.org"}
    assert of_site(tmp_path, "apps.example.org").files(desired("hello.apps.example.org")) == {}


def test_a_given_certificate_comes_before_ours_and_the_exact_before_the_wildcard(tmp_path: Path) -> None:
    certificates = (given("AA", "*.example.org"), given("BB", "www.example.org"))
    site = desired("hello.localhost", "www.example.org", "shop.example.org", certificates=certificates)

    assert of_site(tmp_path).files(site) == {
        "hello.localhost": "/view/hello.pem",
        "www.example.org": "/view/hello.BB.pem",
        "shop.example.org": "/view/hello.AA.pem",
    }
    assert (tmp_path / "hosts/hello.AA.pem").read_text() == "pem of AA"
    assert names_in(tmp_path / "hosts/hello.pem") == {"hello.localhost"}


def test_a_removed_certificate_leaves_no_file(tmp_path: Path) -> None:
    certificates = of_site(tmp_path)
    site = desired("www.example.org", certificates=(given("AA", "www.example.org"),))
    certificates.files(site)

    assert certificates.files(replace(site, certificates=())) == {"www.example.org": "/view/hello.pem"}
    assert {path.name for path in (tmp_path / "hosts").iterdir()} == {"hello.pem"}


def test_a_certificate_is_made_anew_only_when_it_must_be(tmp_path: Path) -> None:
    authority = LocalAuthority(tmp_path)
    before = authority.issue("hello", ("a.org",)).read_bytes()

    assert LocalAuthority(tmp_path).issue("hello", ("a.org",)).read_bytes() == before
    assert authority.issue("hello", ("b.org",)).read_bytes() != before
    for file in ("ca.pem", "ca.key"):
        (tmp_path / file).unlink()
    other = LocalAuthority(tmp_path)
    leaf = x509.load_pem_x509_certificate(other.issue("hello", ("b.org",)).read_bytes())
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(other.certificate.read_bytes()))


@pytest.mark.parametrize("content", [b"", b"nothing", b"-----BEGIN CERTIFICATE-----\n"])
def test_a_broken_file_is_replaced(content: bytes, tmp_path: Path) -> None:
    authority = LocalAuthority(tmp_path)
    authority.issue("hello", ("a.org",)).write_bytes(content)

    assert names_in(authority.issue("hello", ("a.org",))) == {"a.org"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to a group")
def test_nginx_reads_the_certificates_and_not_the_authoritys_key(tmp_path: Path) -> None:
    path = LocalAuthority(tmp_path, group=65533).issue("hello", ("a.org",))

    assert (path.stat().st_gid, path.stat().st_mode & 0o777) == (65533, 0o640)
    assert (path.parent.stat().st_gid, path.parent.stat().st_mode & 0o777) == (65533, 0o710)
    assert (tmp_path / "ca.key").stat().st_mode & 0o777 == 0o600


def test_forgetting_a_site_leaves_others_with_similar_names(tmp_path: Path) -> None:
    authority = LocalAuthority(tmp_path)
    for name in ("a", "a-b", "ab"):
        authority.issue(name, (f"{name}.org",))
        authority.keep(name, {"AA": "pem"})

    authority.forget("a")

    assert {path.name for path in (tmp_path / "hosts").iterdir()} == {
        *("a-b.pem", "ab.pem", "a-b.AA.pem", "ab.AA.pem")
    }
