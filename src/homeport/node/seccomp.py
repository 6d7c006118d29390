"""The system calls that no site may make: a denylist compiled once to BPF for bubblewrap.

Bubblewrap has already taken capabilities and new privileges away; the list removes the kernel's attack surface
that an unprivileged process still reaches: new namespaces, keyrings, BPF, io_uring, kernel modules and the like.
"""

import errno
import tempfile

import pyseccomp

DENIED = (
    "acct", "add_key", "bpf", "clock_adjtime", "clock_settime", "delete_module", "finit_module", "fsconfig",
    "fsmount", "fsopen", "fspick", "init_module", "io_uring_enter", "io_uring_register", "io_uring_setup",
    "ioperm", "iopl", "kcmp", "kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie", "mbind", "migrate_pages",
    "mount", "mount_setattr", "move_mount", "move_pages", "name_to_handle_at", "nfsservctl", "open_by_handle_at",
    "open_tree", "perf_event_open", "personality", "pivot_root", "process_madvise", "ptrace", "quotactl", "reboot",
    "request_key", "set_mempolicy", "setdomainname", "sethostname", "setns", "settimeofday", "stime", "swapoff",
    "swapon", "sysfs", "syslog", "umount", "umount2", "unshare", "uselib", "userfaultfd", "ustat", "vhangup",
)  # fmt: skip
_NEW_NAMESPACES = 0x7E020000 | 0x00000080
"""CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET} and CLONE_NEWTIME."""
_TIOCSTI = 0x5412
_AF_INET6, _AF_NETLINK, _FAMILIES = 10, 16, 64
"""Sockets of other families (VSOCK, PACKET, ALG …) reach past the site's own network or widen the kernel's surface."""


def compile_filter() -> bytes:
    """Return the BPF program: everything allowed but the list, which fails with EPERM."""
    program = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    refuse = pyseccomp.ERRNO(errno.EPERM)
    for name in DENIED:
        if pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) >= 0:
            program.add_rule(refuse, name)
    for bit in range(32):
        flag = 1 << bit
        if _NEW_NAMESPACES & flag and flag != 0x00000080:
            program.add_rule(refuse, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, flag, flag))
    # clone3 takes its flags by pointer, which BPF cannot read; ENOSYS makes libc fall back to clone.
    program.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")
    program.add_rule(refuse, "ioctl", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, 0xFFFFFFFF, _TIOCSTI))
    for family in range(3, _FAMILIES):
        if family not in (_AF_INET6, _AF_NETLINK):
            program.add_rule(
                pyseccomp.ERRNO(errno.EAFNOSUPPORT), "socket", pyseccomp.Arg(0, pyseccomp.EQ, family)
            )
    with tempfile.TemporaryFile() as file:
        program.export_bpf(file)
        file.seek(0)
        return file.read()
