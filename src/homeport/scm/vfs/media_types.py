"""Media types by extension, as ASP.NET's map gives them (Kudu reference §2.1)."""

import posixpath
from collections.abc import Mapping

UNKNOWN = "application/octet-stream"
FOLDER = "inode/directory"
SHORTCUT = "inode/shortcut"

_TYPES: Mapping[str, str] = {
    ".js": "application/javascript",
    ".json": "application/json",
    ".md": "text/plain",
    ".txt": "text/plain",
    ".log": "text/plain",
    ".c": "text/plain",
    ".cpp": "text/plain",
    ".h": "text/plain",
    ".cs": "text/plain",
    ".bas": "text/plain",
    ".htm": "text/html",
    ".html": "text/html",
    ".css": "text/css",
    ".csv": "application/octet-stream",
    ".xml": "text/xml",
    ".config": "application/xml",
    ".xsl": "text/xml",
    ".xslt": "text/xml",
    ".dtd": "text/xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".ico": "image/x-icon",
    ".svg": "image/svg+xml",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".pdf": "application/pdf",
    ".rtf": "application/rtf",
    ".zip": "application/x-zip-compressed",
    ".gz": "application/x-gzip",
    ".tar": "application/x-tar",
    ".tgz": "application/x-compressed",
    ".doc": "application/msword",
    ".xls": "application/vnd.ms-excel",
    ".ppt": "application/vnd.ms-powerpoint",
    ".swf": "application/x-shockwave-flash",
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
    ".mp4": "video/mp4",
    ".mpeg": "video/mpeg",
    ".mpg": "video/mpeg",
    ".mov": "video/quicktime",
    ".avi": "video/x-msvideo",
    ".woff": "application/font-woff",
    ".exe": "application/octet-stream",
    ".dll": "application/x-msdownload",
}


def media_type_of(name: str) -> str:
    """Return the media type of a file's name; no charset is ever added."""
    return _TYPES.get(posixpath.splitext(name)[1].lower(), UNKNOWN)
