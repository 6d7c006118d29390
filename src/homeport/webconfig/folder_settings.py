"""What holds in one folder of a site beside its handlers."""

from collections.abc import Collection
from dataclasses import dataclass, field

from homeport.webconfig.bounds import MOST_SETTINGS, MOST_SETTINGS_TEXT
from homeport.webconfig.sections.compression import Compression
from homeport.webconfig.sections.default_document import DefaultDocument
from homeport.webconfig.sections.http_errors import HttpErrors
from homeport.webconfig.sections.http_protocol import HttpProtocol
from homeport.webconfig.sections.http_redirect import HttpRedirect
from homeport.webconfig.sections.request_filtering import RequestFiltering
from homeport.webconfig.sections.security import Access, IpSecurity
from homeport.webconfig.sections.static_content import StaticContent


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSettings:
    """The sections in force at one place; the defaults are the platform's own."""

    access: Access = field(default_factory=Access)
    compression: Compression = field(default_factory=Compression)
    default_document: DefaultDocument = field(default_factory=DefaultDocument)
    directory_browse: bool = False
    http_errors: HttpErrors = field(default_factory=HttpErrors)
    http_protocol: HttpProtocol = field(default_factory=HttpProtocol)
    http_redirect: HttpRedirect = field(default_factory=HttpRedirect)
    ip_security: IpSecurity = field(default_factory=IpSecurity)
    request_filtering: RequestFiltering = field(default_factory=RequestFiltering)
    static_content: StaticContent = field(default_factory=StaticContent)
    web_socket: bool = True


def too_large(settings: Collection[FolderSettings]) -> bool:
    """Tell whether these would make more configuration for the server than one site may cause."""
    return len(settings) > MOST_SETTINGS or sum(len(repr(one)) for one in settings) > MOST_SETTINGS_TEXT
