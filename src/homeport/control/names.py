"""The use cases of names: host names of sites, proof of ownership, certificates that owners give."""

import asyncio
from datetime import UTC, datetime

from homeport.control.agent_client import AgentClient
from homeport.control.given_certificates import read_certificate
from homeport.control.options import ControlOptions
from homeport.control.service import ControlService
from homeport.control.store.sites import SiteStore, StoredSite
from homeport.model.errors import Invalid
from homeport.model.host_name import check_ownership, covers_host, custom_host_name


class Names:
    """Under which names sites are served, and with which certificates.

    `verification_id` is what a TXT record must hold to prove that a name is in the hands of this platform's people.
    """

    def __init__(
        self,
        store: SiteStore,
        agent: AgentClient,
        service: ControlService,
        options: ControlOptions,
        *,
        verification_id: str,
    ) -> None:
        self._store = store
        self._agent = agent
        self._service = service
        self._options = options
        self._verification_id = verification_id

    async def hostnames(self, name: str) -> dict[str, object]:
        """Return the names of a site and what proves a new one. Raises `NotFound`."""
        site = await asyncio.to_thread(self._store.site, name)
        return {
            "hostnames": [self._default_host(site), *site.hostnames],
            "verification_id": self._verification_id,
        }

    async def add_hostname(self, name: str, text: str, *, verified: bool) -> dict[str, object]:
        """Give a site a further name. Raises `NotFound`, `Invalid`, `Conflict`, `Forbidden`, `Unavailable`.

        `verified` says that the administrator vouches for it, so the name service is not asked.
        """
        site = await asyncio.to_thread(self._store.site, name)
        host = custom_host_name(text, domain=self._options.domain)
        if not verified and host not in site.hostnames:
            texts, alias = await self._agent.name_records(host)
            check_ownership(
                host,
                default_host=self._default_host(site),
                verification_id=self._verification_id,
                texts=texts,
                alias=alias,
            )
        await asyncio.to_thread(self._store.put_host_name, site.name, host)
        await self._service.bring_about(site.name)
        return await self.hostnames(site.name)

    async def remove_hostname(self, name: str, host: str) -> None:
        """Take a name from a site. Raises `NotFound`."""
        site = await asyncio.to_thread(self._store.delete_host_name, name, host.lower().removesuffix("."))
        await self._service.bring_about(site.name)

    async def add_certificate(self, name: str, chain: str, key: str) -> dict[str, object]:
        """Serve a site's names with a given certificate. Raises `NotFound`, `Invalid`."""
        site = await asyncio.to_thread(self._store.site, name)
        certificate = await asyncio.to_thread(read_certificate, chain, key, now=datetime.now(UTC))
        hosts = (self._default_host(site), *site.hostnames)
        served = [host for host in hosts if covers_host(certificate.names, host)]
        if not served:
            raise Invalid(
                f"The certificate is for {', '.join(certificate.names)}, but the site is {', '.join(hosts)}; "
                f"add the name first: homeport hostname add {site.name} NAME.",
                code="CertificateFitsNoName",
            )
        await asyncio.to_thread(self._store.put_certificate, site.name, certificate)
        await self._service.bring_about(site.name)
        return {
            "thumbprint": certificate.thumbprint,
            "names": list(certificate.names),
            "served": served,
        }

    async def remove_certificate(self, name: str, thumbprint: str) -> None:
        """Forget a certificate; the names go back to the platform's. Raises `NotFound`."""
        site = await asyncio.to_thread(self._store.delete_certificate, name, thumbprint.upper())
        await self._service.bring_about(site.name)

    def _default_host(self, site: StoredSite) -> str:
        return f"{site.name}.{self._options.domain}"
