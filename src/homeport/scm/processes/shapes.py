"""From what the agent sees of a process to Kudu's JSON (Kudu reference §6). Pure."""

import posixpath
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from homeport.scm.dotnet_time import utc_text

Facts = Mapping[str, Any]

READABLE: Final = frozenset(
    {
        "APP_POOL_ID",
        "COMPUTERNAME",
        "HOME",
        "LANG",
        "NUMBER_OF_PROCESSORS",
        "PATH",
        "REGION_NAME",
        "SITE_BITNESS",
        "TEMP",
        "TMP",
        "WEBJOBS_NAME",
        "WEBJOBS_TYPE",
        "WEBSITE_COMPUTE_MODE",
        "WEBSITE_HOSTNAME",
        "WEBSITE_INSTANCE_ID",
        "WEBSITE_SITE_NAME",
        "WEBSITE_SKU",
    }
)
"""The variables that callers through the management API may read; app settings are not among them."""

_ALWAYS = frozenset({"id", "name", "machineName"})
_STATES = {"R": "Running", "S": "Wait", "D": "Wait", "T": "Wait", "t": "Wait", "Z": "Terminated", "I": "Wait"}
_NORMAL_PRIORITY = 8


def list_entry(facts: Facts, *, base: str, machine: str, user: str) -> dict[str, Any]:
    """Return the short form; null, zero and false members are left out. `base` is the address of `/processes`."""
    return _without_empty(
        {
            "id": facts["pid"],
            "name": process_name(facts),
            "machineName": machine,
            "href": f"{base}/{facts['pid']}",
            "user_name": user,
        }
    )


def detail(
    facts: Facts,
    others: Sequence[Facts],
    *,
    base: str,
    machine: str,
    user: str,
    now: datetime,
    everything: bool,
) -> dict[str, Any]:
    """Return the long form. `others` are all processes of the site; without `everything` the environment is cut down."""
    href = f"{base}/{facts['pid']}"
    environment = facts["environment"] if everything else readable_environment(facts["environment"])
    job = facts["environment"].get("WEBJOBS_NAME")
    known = {each["pid"] for each in others}
    user_time, kernel_time = facts["user_seconds"], facts["system_seconds"]
    return _without_empty(
        {
            **list_entry(facts, base=base, machine=machine, user=user),
            "minidump": f"{href}/dump",
            "is_profile_running": False,
            "parent": f"{base}/{facts['parent']}" if facts["parent"] in known else None,
            "children": [f"{base}/{each['pid']}" for each in others if each["parent"] == facts["pid"]],
            "threads": [thread_entry(thread, href=href) for thread in facts["thread_list"]],
            "open_file_handles": list(facts["open_files"]),
            "modules": [module_entry(module, href=href) for module in facts["modules"]],
            "file_name": facts["file_name"] or "N/A",
            "command_line": " ".join(facts["command_line"]),
            "handle_count": len(facts["open_files"]),
            "module_count": len(facts["modules"]),
            "thread_count": facts["threads"],
            "start_time": _moment(facts["started"]),
            "total_cpu_time": time_span(user_time + kernel_time),
            "user_cpu_time": time_span(user_time),
            "privileged_cpu_time": time_span(kernel_time),
            "working_set": facts["resident_bytes"],
            "peak_working_set": facts["peak_resident_bytes"],
            "private_memory": facts["private_bytes"],
            "virtual_memory": facts["virtual_bytes"],
            "peak_virtual_memory": facts["peak_virtual_bytes"],
            "paged_memory": facts["swapped_bytes"],
            "time_stamp": utc_text(now),
            "environment_variables": environment,
            "is_scm_site": facts["environment"].get("APP_POOL_ID", "").startswith("~1"),
            "is_webjob": job is not None,
            "description": f"WebJob: {job}, Type: {facts['environment'].get('WEBJOBS_TYPE', '')}"
            if job
            else None,
        }
    )


def thread_entry(thread: Facts, *, href: str) -> dict[str, Any]:
    """Return a thread's short form; `href` is the address of its process."""
    return {"id": thread["id"], "href": f"{href}/threads/{thread['id']}", "state": _state(thread)}


def thread_detail(thread: Facts, *, href: str) -> dict[str, Any]:
    """Return a thread's long form, Kudu's spelling of `priviledged` included."""
    user_time, kernel_time = thread["user_seconds"], thread["system_seconds"]
    return {
        **thread_entry(thread, href=href),
        "process": href,
        "start_address": "N/A",
        "current_priority": _NORMAL_PRIORITY - thread["nice"],
        "priority_level": "Normal" if thread["nice"] == 0 else "BelowNormal",
        "base_priority": _NORMAL_PRIORITY,
        "start_time": _moment(thread["started"]),
        "total_processor_time": time_span(user_time + kernel_time),
        "user_processor_time": time_span(user_time),
        "priviledged_processor_time": time_span(kernel_time),
        "wait_reason": thread["waits_in"] or None,
    }


def module_entry(module: Facts, *, href: str) -> dict[str, Any]:
    """Return a module's short form."""
    address = base_address(module)
    return {
        "base_address": address,
        "file_name": posixpath.basename(module["path"]),
        "href": f"{href}/modules/{address}",
        "file_version": None,
    }


def module_detail(module: Facts, *, href: str) -> dict[str, Any]:
    """Return a module's long form; Linux files carry no version."""
    return {
        **module_entry(module, href=href),
        "file_path": module["path"],
        "module_memory_size": module["size"],
        "file_description": None,
        "product": None,
        "product_version": None,
        "is_debug": False,
        "language": None,
    }


def base_address(module: Facts) -> str:
    """Return where a module begins, in hexadecimal."""
    return f"{module['base']:x}"


def process_name(facts: Facts) -> str:
    """Return the name without extension; a version is none (`python3.11`)."""
    name = str(facts["name"])
    return name[:-4] if name.lower().endswith(".exe") else name


def readable_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that hold no secret."""
    return {name: value for name, value in environment.items() if name in READABLE}


def filtered_environment(environment: Mapping[str, str], wanted: str) -> dict[str, str]:
    """Return the variables whose name holds `wanted`, letter case ignored; `all` means all."""
    folded = wanted.casefold()
    kept = {name: text for name, text in environment.items() if folded == "all" or folded in name.casefold()}
    return dict(sorted(kept.items()))


def time_span(seconds: float) -> str:
    """Write a TimeSpan: `[d.]hh:mm:ss[.fffffff]`."""
    ticks = round(seconds * 10_000_000)
    whole, fraction = divmod(ticks, 10_000_000)
    days, rest = divmod(whole, 86400)
    clock = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return (f"{days}." if days else "") + clock + (f".{fraction:07d}" if fraction else "")


def _state(thread: Facts) -> str:
    return _STATES.get(str(thread["state"]), "Unknown")


def _moment(seconds: float) -> str:
    return utc_text(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))


def _without_empty(members: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in members.items()
        if name in _ALWAYS or not (value is None or value is False or value == 0)
    }
