"""The publish profile: the XML that azure/webapps-deploy, Visual Studio and others read (ARM reference §11.1). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from xml.sax.saxutils import quoteattr

from homeport.model.errors import Invalid
from homeport.model.secret import Secret


class ProfileFormat(StrEnum):
    """Which entries a profile has.

    `WebDeploy` and `FileZilla3` are all that work here, `Ftp` is the FTP entry alone. The SCM site's entry comes first:
    some clients take the address from there, whatever its kind. `KuduClient` puts before them an entry that is marked
    MSDeploy: others look only there for the address and the password of the SCM site.
    """

    WEB_DEPLOY = "WebDeploy"
    FILE_ZILLA = "FileZilla3"
    FTP = "Ftp"
    KUDU_CLIENT = "KuduClient"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishingPlaces:
    """Where a site is published to: `scm_host` as `host:port`, `site_url` for visitors, `ftp_url` None without FTP."""

    scm_host: str
    site_url: str
    ftp_url: str | None = None


def profile_format(text: str | None) -> ProfileFormat:
    """Read the name of a format, letter case ignored; none means WebDeploy. Raises `Invalid`."""
    wanted = (text or ProfileFormat.WEB_DEPLOY).casefold()
    for known in ProfileFormat:
        if known.casefold() == wanted:
            return known
    raise Invalid(f"'{text}' is no format of a publish profile: use {', '.join(ProfileFormat)}.")


def render_publish_profile(
    name: str, user: str, password: Secret, places: PublishingPlaces, *, form: ProfileFormat
) -> str:
    """Return the profile of one site on one line; it holds the password. Raises `Invalid` when no entry is left."""
    ftp_user = f"{user.removeprefix('$')}\\{user}"
    entries = []
    if form is ProfileFormat.KUDU_CLIENT:
        more = {"msdeploySite": user.removeprefix("$")}
        entries.append(_entry(f"{name} - Web Deploy", "MSDeploy", places.scm_host, more, user))
    if form is not ProfileFormat.FTP:
        entries.append(_entry(f"{name} - Zip Deploy", "ZipDeploy", places.scm_host, {}, user))
    if places.ftp_url is not None:
        entries.append(_entry(f"{name} - FTP", "FTP", places.ftp_url, {"ftpPassiveMode": "True"}, ftp_user))
    if not entries:
        raise Invalid(
            "The site cannot be reached by FTP, so there is no FTP profile: use the format WebDeploy."
        )
    common = {
        "userPWD": password.reveal(),
        "destinationAppUrl": places.site_url,
        "SQLServerDBConnectionString": "",
        "mySQLDBConnectionString": "",
        "hostingProviderForumLink": "",
        "controlPanelLink": "",
        "webSystem": "WebSites",
    }
    rendered = (
        f"<publishProfile {_attributes(entry | common)}><databases /></publishProfile>" for entry in entries
    )
    return f"<publishData>{''.join(rendered)}</publishData>"


def _entry(name: str, method: str, address: str, more: Mapping[str, str], user: str) -> dict[str, str]:
    return {"profileName": name, "publishMethod": method, "publishUrl": address, **more, "userName": user}


def _attributes(values: Mapping[str, str]) -> str:
    return " ".join(f"{name}={_quoted(value)}" for name, value in values.items())


def _quoted(value: str) -> str:
    """Write in double quotes: some readers know no others."""
    text = quoteattr(value.replace('"', "\0"))
    return text.replace("\0", "&quot;")
