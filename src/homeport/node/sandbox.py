"""The launch line of a process in its site's sandbox, as a value.

    sh (joins the cgroup) → nsenter (joins the site's network) → bwrap (mounts, PID, IPC, UTS) → setpriv (becomes
    the site's user, without capabilities) → perl (takes over the site's environment) → the program

Nothing here runs anything: `launch_line` turns a `Sandbox` into the arguments, `processes.py` starts them.

The site's environment comes last and through a descriptor. Through arguments its secrets would show in the process
list; as the environment of the whole line a site's LD_PRELOAD would be obeyed by programs that still are root.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_SYSTEM_FOLDERS = ("/usr",)
_SYSTEM_LINKS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SYSTEM_FILES = (
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/timezone",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A host path and where the sandbox sees it."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """Everything that decides what one process of a site sees and may do.

    `local` is what Windows knows as D:\\local, with `Temp` in it, which is also /tmp.
    `uid` None: not root, the process keeps our user in a user namespace. `etc` is a folder with the generated
    passwd, group, hosts and resolv.conf. `cgroup_procs` are the files to write the process into. `network` is the
    mount point of the site's network namespace, None shares the machine's.
    """

    hostname: str
    uid: int | None
    home: Path
    local: Path
    etc: Path
    mounts: tuple[Mount, ...] = ()
    cgroup_procs: tuple[Path, ...] = ()
    network: Path | None = None
    directory: str = "/home/site/wwwroot"


TRUSTED_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
"""The environment of the line itself, up to the program."""

# perl-base is on every Debian and starts in 2 ms; a shell cannot export names such as `a:b`, which settings may have.
_TAKE_ENVIRONMENT = (
    'open(my $f, "<&=", shift) or die; local $/; %ENV = map { split /=/, $_, 2 } split /\\0/, <$f>; close($f);'
    ' exec { $ARGV[0] } @ARGV or do { print STDERR "$ARGV[0]: $!\\n"; exit 127 }'
)


def environment_block(environment: Mapping[str, str]) -> bytes:
    """Return what goes through the descriptor: NAME=value, each ended by a NUL."""
    pairs = (
        f"{name}={value}"
        for name, value in environment.items()
        if "\0" not in name + value and "=" not in name
    )
    return b"".join(pair.encode("utf-8", "surrogateescape") + b"\0" for pair in pairs)


def launch_line(
    sandbox: Sandbox, program: Sequence[str], *, options_fd: int, environment_fd: int
) -> tuple[str, ...]:
    """Return the whole argument list that runs `program` in the sandbox.

    `options_fd` gives bubblewrap its `bubblewrap_options`, which would name the machine's folders to the site if they
    stood in the process list.
    """
    return (
        *join_cgroup(sandbox.cgroup_procs),
        *_join_network(sandbox),
        *("bwrap", "--die-with-parent", "--args", str(options_fd), "--"),
        *become_user(sandbox.uid),
        *("perl", "-e", _TAKE_ENVIRONMENT, str(environment_fd)),
        *program,
    )


def join_cgroup(procs: Sequence[Path]) -> tuple[str, ...]:
    """Return the beginning of a line that joins a cgroup by writing into its `procs` files."""
    if not procs:
        return ()
    # `$#` files first, then the program: a shell is the cheapest thing that writes its own pid and execs.
    script = (
        'n=$1; shift; while [ "$n" -gt 0 ]; do echo 0 >"$1" || exit 126; shift; n=$((n-1)); done; exec "$@"'
    )
    files = [str(path) for path in procs]
    return ("/bin/sh", "-c", script, "homeport", str(len(files)), *files)


def _join_network(sandbox: Sandbox) -> tuple[str, ...]:
    return () if sandbox.network is None else ("nsenter", f"--net={sandbox.network}")


def bubblewrap_options(sandbox: Sandbox, *, seccomp_fd: int) -> bytes:
    """Return what goes through `options_fd`: bubblewrap's options, each ended by a NUL."""
    line = ["--new-session", "--hostname", sandbox.hostname]
    line += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    if sandbox.uid is None:
        line += ["--unshare-user"]
    else:
        line += ["--cap-drop", "ALL"]
        for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"):
            line += ["--cap-add", capability]
    line += system_view(mount.target for mount in sandbox.mounts)
    for name in ("passwd", "group", "hosts", "resolv.conf"):
        line += ["--ro-bind", str(sandbox.etc / name), f"/etc/{name}"]
    line += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run"]
    line += ["--perms", "1777", "--tmpfs", "/dev/shm"]  # POSIX semaphores, so Python's multiprocessing
    line += ["--bind", str(sandbox.local), "/local", "--bind", str(sandbox.local / "Temp"), "/tmp"]
    line += ["--bind", str(sandbox.home), "/home"]
    for mount in sandbox.mounts:
        line += ["--bind" if mount.writable else "--ro-bind", str(mount.source), mount.target]
    line += ["--seccomp", str(seccomp_fd), "--chdir", sandbox.directory]
    return b"".join(option.encode() + b"\0" for option in line)


def system_view(targets: Iterable[str]) -> list[str]:
    """Return the options that show the read-only system, with open folders above it and above `targets`.

    Bubblewrap would make those folders itself, but closed to everybody who is not root.
    """
    parents = {
        str(parent) for target in (*_SYSTEM_FILES, *targets) for parent in PurePosixPath(target).parents
    }
    line = []
    for parent in sorted(parents - {"/", *_SYSTEM_FOLDERS}):
        line += ["--perms", "0755", "--dir", parent]
    for folder in _SYSTEM_FOLDERS:
        line += ["--ro-bind", folder, folder]
    for path in _SYSTEM_LINKS:
        line += _same_as_host(Path(path))
    for file in _SYSTEM_FILES:
        line += ["--ro-bind-try", file, file]
    return line


def _same_as_host(path: Path) -> list[str]:
    """Give /bin, /lib … as the host has them: links into /usr on a merged system, folders on an older one."""
    if path.is_symlink():
        return ["--symlink", str(path.readlink()), str(path)]
    return ["--ro-bind", str(path), str(path)] if path.is_dir() else []


def become_user(uid: int | None) -> tuple[str, ...]:
    """Return the part of a line that becomes a user without capabilities and new privileges; None keeps ours."""
    if uid is None:
        return ()
    user = str(uid)
    return (
        "setpriv",
        "--reuid",
        user,
        "--regid",
        user,
        "--clear-groups",
        "--no-new-privs",
        "--inh-caps=-all",
        "--bounding-set=-all",
        "--",
    )
