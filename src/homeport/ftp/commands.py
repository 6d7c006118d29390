"""The commands that the front and a site's FTP process know, and how a line is read. Pure."""

PASSED_ON = frozenset(
    [
        "ABOR",
        "ALLO",
        "APPE",
        "CDUP",
        "CWD",
        "DELE",
        "FEAT",
        "LIST",
        "MDTM",
        "MFMT",
        "MKD",
        "MLSD",
        "MLST",
        "MODE",
        "NLST",
        "NOOP",
        "OPTS",
        "PWD",
        "QUIT",
        "REST",
        "RETR",
        "RMD",
        "RNFR",
        "RNTO",
        "SITE",
        "SIZE",
        "STAT",
        "STOR",
        "STOU",
        "STRU",
        "SYST",
        "TYPE",
        "XCUP",
        "XCWD",
        "XMKD",
        "XPWD",
        "XRMD",
    ]
)
"""What the front passes on as it comes; it answers everything else itself."""

SESSION = "XSESSION"
"""From the front, first of all: `XSESSION <client's address> <user>`; the answer is that of PASS."""
SAY = "XSAY"
"""From the front: `XSAY <reply>` has the site's process give this reply, so that replies keep their order."""
DATA = "XDATA"
"""From the front: `XDATA <reply>` with a descriptor: the data connection of the next transfer, and the reply."""

_FEATURES = (
    "AUTH TLS",
    "EPSV",
    "MDTM",
    "MFMT",
    "MLST type*;perm*;size*;modify*;unique*;unix.mode;unix.uid;unix.gid;",
    "PBSZ",
    "PROT",
    "REST STREAM",
    "SIZE",
    "TVFS",
    "UTF8",
)
FEATURES_REPLY = "\r\n".join(("211-Features:", *(f" {feature}" for feature in _FEATURES), "211 End"))
"""The answer to FEAT (RFC 2389), before and after signing in."""


def read_command(line: bytes) -> tuple[str, str]:
    """Return a line's command in capitals and its argument; the Telnet signals before an ABOR are left out."""
    text = line.lstrip(b"\xf2\xf4\xff").decode("utf-8", "replace")
    command, _, argument = text.partition(" ")
    return command.upper(), argument
