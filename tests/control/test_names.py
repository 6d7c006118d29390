"""Names of sites, proof of ownership, given certificates."""

import datetime
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from homeport.control.given_certificates import read_certificate
from homeport.model.errors import HomeportError, Invalid
from homeport.model.host_name import covers_host, custom_host_name

from .memory_agent import MemoryAgent
from .running import Control

NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture
def hello(control: Control) -> str:
    control.call("POST", "/sites", 201, name="hello")
    return "/sites/hello"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def pems(leaf: trustme.LeafCert) -> dict[str, str]:
    chain = "".join(each.bytes().decode() for each in leaf.cert_chain_pems)
    return {"certificate": chain, "key": leaf.private_key_pem.bytes().decode()}


# Host names


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "intranet",
            "a b.example.org",
            "*.example.org",
            "-a.example.org",
            "192.0.2.1",
            "a..example.org",
        ),
        *("x.localhost", "other.apps.example.org", "apps.example.org", "scm.apps.example.org", "bücher.de"),
        *("a" * 64 + ".org", "a." * 130 + "org", "a.example.org;", "a.example.org\n.b", "$host.org"),
    ],
)
def test_a_name_that_is_none_or_is_the_platforms_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        custom_host_name(text, domain="apps.example.org")


def test_a_name_is_written_in_one_way() -> None:
    assert custom_host_name("WWW.Example.ORG.", domain="apps.example.org") == "www.example.org"


@pytest.mark.parametrize(
    ("names", "host", "covered"),
    [
        (["www.example.org"], "www.example.org", True),
        (["*.example.org"], "www.example.org", True),
        (["*.example.org"], "a.www.example.org", False),
        (["*.example.org"], "example.org", False),
        (["example.org"], "www.example.org", False),
    ],
)
def test_a_wildcard_stands_for_one_label(names: list[str], host: str, covered: bool) -> None:
    assert covers_host(names, host) is covered


def test_a_name_is_added_once_a_record_shows_whose_it_is(
    control: Control, agent: MemoryAgent, hello: str
) -> None:
    error = control.call("PUT", f"{hello}/hostnames/www.example.org", 403, unverified=False)["error"]
    proof = control.call("GET", f"{hello}/hostnames")["verification_id"]
    assert (error["code"], proof in error["message"]) == ("HostNameNotVerified", True)

    agent.records["www.example.org"] = (["other", proof.lower()], None)
    agent.records["shop.example.org"] = ([], "hello.localhost.")
    for name in ("WWW.example.org", "shop.example.org"):
        control.call("PUT", f"{hello}/hostnames/{name}", unverified=False)

    names = ["hello.localhost", "shop.example.org", "www.example.org"]
    assert control.call("GET", f"{hello}/hostnames")["hostnames"] == names
    assert agent.desired["hello"]["hostnames"] == names


def test_an_alias_of_another_site_proves_nothing(control: Control, agent: MemoryAgent, hello: str) -> None:
    agent.records["www.example.org"] = (["0" * 64], "victim.localhost")

    control.call("PUT", f"{hello}/hostnames/www.example.org", 403, unverified=False)


def test_no_site_takes_the_name_of_another(control: Control, hello: str) -> None:
    control.call("POST", "/sites", 201, name="thief")
    control.call("PUT", f"{hello}/hostnames/www.example.org", unverified=True)

    for name in ("www.example.org", "WWW.EXAMPLE.ORG."):
        error = control.call("PUT", f"/sites/thief/hostnames/{name}", 409, unverified=True)["error"]
        assert error["code"] == "HostNameTaken"
    for name in ("hello.localhost", "hello.scm.localhost", "portal.localhost"):
        control.call("PUT", f"/sites/thief/hostnames/{name}", 400, unverified=True)


def test_a_removed_name_is_free_for_others(control: Control, agent: MemoryAgent, hello: str) -> None:
    control.call("POST", "/sites", 201, name="next")
    control.call("PUT", f"{hello}/hostnames/www.example.org", unverified=True)
    control.call("DELETE", f"{hello}/hostnames/www.example.org", 204)
    control.call("DELETE", f"{hello}/hostnames/www.example.org", 404)

    control.call("PUT", "/sites/next/hostnames/www.example.org", unverified=True)

    assert agent.desired["hello"]["hostnames"] == ["hello.localhost"]


# Certificates


def test_a_given_certificate_reaches_the_agent_and_never_a_reader(
    control: Control, agent: MemoryAgent, hello: str, authority: trustme.CA
) -> None:
    control.call("PUT", f"{hello}/hostnames/www.example.org", unverified=True)
    made = control.call("POST", f"{hello}/certificates", 201, **pems(authority.issue_cert("*.example.org")))

    assert made["served"] == ["www.example.org"]
    (given,) = agent.desired["hello"]["certificates"]
    assert (given["thumbprint"], given["names"]) == (made["thumbprint"], ["*.example.org"])
    assert given["pem"].startswith("-----BEGIN PRIVATE KEY-----")
    shown = control.call("GET", hello)
    assert shown["certificates"] == [{"thumbprint": made["thumbprint"], "names": ["*.example.org"]}]
    assert "PRIVATE" not in str(shown)
    stored = b"".join(path.read_bytes() for path in Path(control.folder / "control").glob("homeport.db*"))
    assert b"PRIVATE KEY" not in stored

    control.call("DELETE", f"{hello}/certificates/{made['thumbprint'].lower()}", 204)
    assert agent.desired["hello"]["certificates"] == []


def test_a_certificate_for_other_names_is_refused(
    control: Control, hello: str, authority: trustme.CA
) -> None:
    given = pems(authority.issue_cert("www.example.com"))

    error = control.call("POST", f"{hello}/certificates", 400, **given)["error"]

    assert (error["code"], "hostname add hello" in error["message"]) == ("CertificateFitsNoName", True)


def test_a_certificate_that_clients_would_refuse_is_refused(authority: trustme.CA) -> None:
    day = datetime.timedelta(days=1)
    good, other = (pems(authority.issue_cert("www.example.org")) for _ in range(2))
    ended = pems(authority.issue_cert("a.org", not_before=NOW - 2 * day, not_after=NOW - day))
    later = pems(authority.issue_cert("a.org", not_before=NOW + day, not_after=NOW + 2 * day))
    nameless = pems(authority.issue_cert("192.0.2.1"))
    weak = rsa.generate_private_key(65537, 1024)
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    locked = weak.private_bytes(*plain, serialization.BestAvailableEncryption(b"x")).decode()
    short = weak.private_bytes(*plain, serialization.NoEncryption()).decode()
    upside_down = good["certificate"] + other["certificate"]
    for certificate, key, words in (
        (good["certificate"], other["key"], "does not belong"),
        (ended["certificate"], ended["key"], "ended on"),
        (later["certificate"], later["key"], "valid from"),
        (nameless["certificate"], nameless["key"], "names no host"),
        (good["certificate"], locked, "openssl pkey"),
        (good["certificate"], short, "1024 bits"),
        (upside_down, good["key"], "out of order"),
        ("", good["key"], "not readable"),
        ("-----BEGIN CERTIFICATE-----\nx", good["key"], "not readable"),
        (good["certificate"], "nothing", "not readable"),
    ):
        with pytest.raises(HomeportError, match=words):
            read_certificate(certificate, key, now=NOW)


def test_what_openssl_wrote_around_the_pem_is_left_out(authority: trustme.CA) -> None:
    given = pems(authority.issue_cert("www.example.org"))

    made = read_certificate(f"subject=CN\n; $x\n{given['certificate']}", given["key"], now=NOW)

    assert "$x" not in made.pem.reveal()
    assert len(made.thumbprint) == 40


# How a site meets the web


def test_the_configuration_is_kept_and_reaches_the_agent(
    control: Control, agent: MemoryAgent, hello: str
) -> None:
    control.call("PATCH", hello, config={"https_only": True})
    made = control.call("PATCH", hello, config={"minimum_tls": "1.3"})

    assert (made["config"]["https_only"], made["config"]["minimum_tls"]) == (True, "1.3")
    assert agent.desired["hello"]["config"] == made["config"]


@pytest.mark.parametrize(
    "config",
    [
        {"minimum_tls": "1.0"},
        {"https_only": 1},
        {"https_only": "yes"},
        {"x": 1},
        [],
        {"http_log_megabytes": 0},
    ],
)
def test_a_configuration_that_means_nothing_is_refused(config: object, control: Control, hello: str) -> None:
    control.call("PATCH", hello, 400, config=config)
