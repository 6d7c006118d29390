"""The site store: every method is one transaction, and every change of desired state raises the revision."""

import dataclasses
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import sqlalchemy as sa

from homeport.control.secrets_at_rest import SecretBox
from homeport.control.store.schema import APP_SETTINGS, CERTIFICATES, HOST_NAMES, PLATFORM, RUNTIMES, SITES
from homeport.model.errors import Conflict, NotFound
from homeport.model.secret import Secret
from homeport.model.site import InstalledRuntime, Limits, SiteConfig, SiteName, SiteState

_NOBODY = (65534, 65535)
"""Ids that Unix gives to nobody; no site gets them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCertificate:
    """A certificate that an owner gave, for `names`; `pem` holds its key."""

    thumbprint: str
    names: tuple[str, ...]
    pem: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSite:
    """One site as it is remembered; `deleting` means that only its end is still to be done."""

    name: SiteName
    uid: int
    state: SiteState
    created: str
    publishing_user: str
    publishing_password: Secret
    deleting: bool = False
    basic_auth_scm: bool = True
    basic_auth_ftp: bool = True
    limits: Limits = field(default_factory=Limits)
    app_settings: Mapping[str, Secret] = field(default_factory=dict)
    runtimes: tuple[InstalledRuntime, ...] = ()
    hostnames: tuple[str, ...] = ()
    config: SiteConfig = field(default_factory=SiteConfig)
    certificates: tuple[StoredCertificate, ...] = ()


class SiteStore:
    """Sites in a database."""

    def __init__(self, engine: sa.Engine, box: SecretBox) -> None:
        self._engine = engine
        self._box = box

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def snapshot(self) -> tuple[int, tuple[StoredSite, ...]]:
        """Return the revision and every site at one moment, ordered by name, those being deleted included."""
        with self._engine.begin() as connection:
            revision = connection.execute(sa.select(PLATFORM.c.revision)).scalar_one()
            return revision, self._read(connection)

    def revision(self) -> int:
        """Return the revision: every change of desired state raises it."""
        with self._engine.begin() as connection:
            revision: int = connection.execute(sa.select(PLATFORM.c.revision)).scalar_one()
            return revision

    def deleting(self) -> tuple[SiteName, ...]:
        """Return the names of the sites whose deletion has begun."""
        query = sa.select(SITES.c.name).where(SITES.c.deleting.is_(True)).order_by(SITES.c.name)
        with self._engine.begin() as connection:
            return tuple(SiteName(name) for name in connection.execute(query).scalars())

    def sites(self) -> tuple[StoredSite, ...]:
        """Return the sites, ordered by name, without those being deleted."""
        return tuple(site for site in self.snapshot()[1] if not site.deleting)

    def site(self, name: str) -> StoredSite:
        """Return one site. Raises `NotFound`."""
        with self._engine.begin() as connection:
            return self._read(connection, site_id=find_site(connection, name))[0]

    def create(self, name: SiteName, *, password: Secret) -> StoredSite:
        """Add a running site with a Unix user of its own. Raises `Conflict` when the name is taken."""
        with self._engine.begin() as connection:
            taken = connection.execute(sa.select(SITES.c.deleting).where(SITES.c.name == name)).first()
            if taken is not None:
                what = "is still being deleted; try again in a moment" if taken[0] else "exists already"
                raise Conflict(f"The site '{name}' {what}.", code="SiteExists")
            connection.execute(
                SITES.insert().values(
                    name=name,
                    uid=_take_uid(connection),
                    state=SiteState.RUNNING.value,
                    deleting=False,
                    created=datetime.now(UTC).isoformat(timespec="seconds"),
                    publishing_user=f"${name}",
                    publishing_password=self._box.seal(password),
                    limits=dataclasses.asdict(Limits()),
                )
            )
            _raise_revision(connection)
        return self.site(name)

    def set_state(self, name: str, state: SiteState) -> StoredSite:
        """Start or stop a site. Raises `NotFound`."""
        return self._change(name, state=state.value)

    def set_limits(self, name: str, limits: Limits) -> StoredSite:
        """Give a site other limits. Raises `NotFound`."""
        return self._change(name, limits=dataclasses.asdict(limits))

    def set_config(self, name: str, config: SiteConfig) -> StoredSite:
        """Change how a site meets the web. Raises `NotFound`."""
        return self._change(name, config=dataclasses.asdict(config))

    def put_host_name(self, name: str, host: str) -> StoredSite:
        """Give a site a further host name. Raises `NotFound`, and `Conflict` when another site has it."""
        with self._engine.begin() as connection:
            site_id = find_site(connection, name)
            query = sa.select(SITES.c.id, SITES.c.name).join(HOST_NAMES).where(HOST_NAMES.c.name == host)
            owner = connection.execute(query).first()
            if owner is not None and owner[0] != site_id:
                raise Conflict(f"'{host}' belongs to the site '{owner[1]}'.", code="HostNameTaken")
            if owner is None:
                connection.execute(HOST_NAMES.insert().values(name=host, site_id=site_id))
                _raise_revision(connection)
            return self._read(connection, site_id=site_id)[0]

    def delete_host_name(self, name: str, host: str) -> StoredSite:
        """Take a host name from a site. Raises `NotFound`."""
        with self._engine.begin() as connection:
            site_id = find_site(connection, name)
            mine = (HOST_NAMES.c.site_id == site_id, HOST_NAMES.c.name == host)
            if connection.execute(HOST_NAMES.delete().where(*mine)).rowcount == 0:
                raise NotFound(f"The site '{name}' has no host name '{host}'.", code="HostNameNotFound")
            _raise_revision(connection)
            return self._read(connection, site_id=site_id)[0]

    def put_certificate(self, name: str, certificate: StoredCertificate) -> StoredSite:
        """Remember a certificate of a site. Raises `NotFound`."""
        with self._engine.begin() as connection:
            site_id = find_site(connection, name)
            connection.execute(_certificate_of(site_id, certificate.thumbprint))
            connection.execute(
                CERTIFICATES.insert().values(
                    site_id=site_id,
                    thumbprint=certificate.thumbprint,
                    names=list(certificate.names),
                    pem=self._box.seal(certificate.pem),
                )
            )
            _raise_revision(connection)
            return self._read(connection, site_id=site_id)[0]

    def delete_certificate(self, name: str, thumbprint: str) -> StoredSite:
        """Forget a certificate of a site. Raises `NotFound`."""
        with self._engine.begin() as connection:
            site_id = find_site(connection, name)
            if connection.execute(_certificate_of(site_id, thumbprint)).rowcount == 0:
                raise NotFound(
                    f"The site '{name}' has no certificate '{thumbprint}'.", code="CertificateNotFound"
                )
            _raise_revision(connection)
            return self._read(connection, site_id=site_id)[0]

    def set_password(self, name: str, password: Secret) -> StoredSite:
        """Give a site another publishing password. Raises `NotFound`."""
        return self._change(name, publishing_password=self._box.seal(password))

    def begin_deletion(self, name: str) -> None:
        """Take a site out of the desired state; its name and user stay taken until `end_deletion`."""
        self._change(name, deleting=True)

    def end_deletion(self, name: str) -> None:
        """Forget a site whose deletion had begun."""
        with self._engine.begin() as connection:
            connection.execute(SITES.delete().where(SITES.c.name == name, SITES.c.deleting.is_(True)))

    def put_settings(self, name: str, settings: Mapping[str, str], *, replace: bool = False) -> StoredSite:
        """Set app settings, letter case of names ignored; with `replace` those not given go. Raises `NotFound`."""
        with self._engine.begin() as connection:
            site_id = find_site(connection, name)
            mine = APP_SETTINGS.c.site_id == site_id
            folded = {key.casefold(): (key, value) for key, value in settings.items()}
            gone = mine if replace else mine & APP_SETTINGS.c.folded_name.in_(folded)
            connection.execute(APP_SETTINGS.delete().where(gone))
            for key, (shown, value) in folded.items():
                sealed = self._box.seal(Secret(value))
                connection.execute(
                    APP_SETTINGS.insert().values(site_id=site_id, folded_name=key, name=shown, value=sealed)
                )
            _raise_revision(connection)
        return self.site(name)

    def delete_setting(self, name: str, setting: str) -> StoredSite:
        """Remove one app setting. Raises `NotFound`."""
        with self._engine.begin() as connection:
            mine = APP_SETTINGS.c.site_id == find_site(connection, name)
            deleted = connection.execute(
                APP_SETTINGS.delete().where(mine, APP_SETTINGS.c.folded_name == setting.casefold())
            )
            if deleted.rowcount == 0:
                raise NotFound(f"The site '{name}' has no setting '{setting}'.", code="SettingNotFound")
            _raise_revision(connection)
        return self.site(name)

    def put_runtime(self, name: str, runtime: InstalledRuntime) -> StoredSite:
        """Remember a Python of a site, in the place of one in the same folder. Raises `NotFound`."""
        with self._engine.begin() as connection:
            site_id = find_site(connection, name)
            connection.execute(_runtime_of(site_id, runtime.folder))
            connection.execute(
                RUNTIMES.insert().values(
                    site_id=site_id,
                    folder=runtime.folder,
                    extension_id=runtime.id,
                    version=runtime.version,
                    build=runtime.build,
                    base=runtime.base,
                )
            )
            _raise_revision(connection)
        return self.site(name)

    def delete_runtime(self, name: str, folder: str) -> StoredSite:
        """Forget a Python of a site; one that is not remembered is no error. Raises `NotFound` for no such site."""
        with self._engine.begin() as connection:
            connection.execute(_runtime_of(find_site(connection, name), folder))
            _raise_revision(connection)
        return self.site(name)

    def _change(self, name: str, **values: object) -> StoredSite:
        with self._engine.begin() as connection:
            site_id = find_site(connection, name)
            connection.execute(SITES.update().where(SITES.c.id == site_id).values(**values))
            _raise_revision(connection)
            return self._read(connection, site_id=site_id)[0]

    def _read(self, connection: sa.Connection, *, site_id: int | None = None) -> tuple[StoredSite, ...]:
        """Read every site, or the one, with everything that belongs to it."""
        only = sa.true() if site_id is None else SITES.c.id == site_id
        settings = _by_site(connection, APP_SETTINGS, only)
        runtimes = _by_site(connection, RUNTIMES, only)
        names = _by_site(connection, HOST_NAMES, only)
        certificates = _by_site(connection, CERTIFICATES, only)
        rows = connection.execute(sa.select(SITES).where(only).order_by(SITES.c.name)).mappings()
        return tuple(
            StoredSite(
                name=SiteName(row["name"]),
                uid=row["uid"],
                state=SiteState(row["state"]),
                created=row["created"],
                publishing_user=row["publishing_user"],
                publishing_password=self._box.open(row["publishing_password"]),
                deleting=row["deleting"],
                basic_auth_scm=row["basic_auth_scm"],
                basic_auth_ftp=row["basic_auth_ftp"],
                limits=Limits(**row["limits"]),
                app_settings={each["name"]: self._box.open(each["value"]) for each in settings[row["id"]]},
                runtimes=tuple(_runtime(each) for each in runtimes[row["id"]]),
                hostnames=tuple(each["name"] for each in names[row["id"]]),
                config=SiteConfig(**row["config"]),
                certificates=tuple(
                    StoredCertificate(
                        thumbprint=each["thumbprint"],
                        names=tuple(each["names"]),
                        pem=self._box.open(each["pem"]),
                    )
                    for each in certificates[row["id"]]
                ),
            )
            for row in rows
        )


def find_site(connection: sa.Connection, name: str) -> int:
    """Return the key of a site that is not being deleted. Raises `NotFound`."""
    query = sa.select(SITES.c.id).where(SITES.c.name == name.lower(), SITES.c.deleting.is_(False))
    site_id: int | None = connection.execute(query).scalar_one_or_none()
    if site_id is None:
        raise NotFound(f"There is no site '{name}'; list them with: homeport site list", code="SiteNotFound")
    return site_id


def _by_site(
    connection: sa.Connection, table: sa.Table, only: sa.ColumnElement[bool]
) -> defaultdict[int, list[sa.RowMapping]]:
    """Group a table's rows by their site, ordered by the table's own key."""
    query = sa.select(table).join(SITES).where(only).order_by(*table.primary_key.columns)
    grouped: defaultdict[int, list[sa.RowMapping]] = defaultdict(list)
    for row in connection.execute(query).mappings():
        grouped[row["site_id"]].append(row)
    return grouped


def _runtime(row: sa.RowMapping) -> InstalledRuntime:
    return InstalledRuntime(
        folder=row["folder"],
        id=row["extension_id"],
        version=row["version"],
        build=row["build"],
        base=row["base"],
    )


def _runtime_of(site_id: int, folder: str) -> sa.Delete:
    return RUNTIMES.delete().where(RUNTIMES.c.site_id == site_id, RUNTIMES.c.folder == folder)


def _certificate_of(site_id: int, thumbprint: str) -> sa.Delete:
    return CERTIFICATES.delete().where(
        CERTIFICATES.c.site_id == site_id, CERTIFICATES.c.thumbprint == thumbprint
    )


def _raise_revision(connection: sa.Connection) -> None:
    connection.execute(PLATFORM.update().values(revision=PLATFORM.c.revision + 1))


def _take_uid(connection: sa.Connection) -> int:
    """Give out user ids in order, so that the files a deleted site may have left somewhere get no new owner."""
    uid: int = connection.execute(sa.select(PLATFORM.c.next_uid)).scalar_one()
    while uid in _NOBODY:
        uid += 1
    connection.execute(PLATFORM.update().values(next_uid=uid + 1))
    return uid
