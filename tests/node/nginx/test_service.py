"""Applying configuration: what nginx refuses hurts nobody else. No nginx runs here, so nothing is reloaded."""

import asyncio
import subprocess
import sys
from pathlib import Path

from homeport.node.layout import NodeLayout
from homeport.node.nginx.main import MainConfig, render_main
from homeport.node.nginx_service import NginxService

from .running import Folders

GOOD = "server { listen 127.0.0.1:1; }\n"
BAD = "server { listen 127.0.0.1:1; no_such_directive on; }\n"


def service(folders: Folders) -> NginxService:
    def main(sites: Path) -> str:
        run = str(folders.root / "run")
        return render_main(MainConfig(sites_folder=str(sites), run_folder=run, http_port=1))

    made = NginxService(NodeLayout(folders.root / "data", folders.root / "run"), main=main)
    made.write_main()
    return made


def test_of_many_new_texts_only_the_refused_ones_are_left_out(folders: Folders) -> None:
    nginx = service(folders)
    texts = {f"site-{number}": BAD if number in {3, 8} else GOOD for number in range(10)}

    problems = asyncio.run(nginx.apply(texts, certificates=""))

    assert problems.keys() == {"site-3", "site-8"}
    assert "no_such_directive" in problems["site-3"]
    written = {path.stem for path in (folders.root / "run/nginx/sites").glob("*.conf")}
    assert written == texts.keys() - problems.keys()


def test_a_refused_text_leaves_the_last_good_one_and_a_removed_one_goes(folders: Folders) -> None:
    nginx = service(folders)
    asyncio.run(nginx.apply({"a": GOOD, "b": GOOD}, certificates=""))

    assert asyncio.run(nginx.apply({"a": BAD, "b": None}, certificates="")).keys() == {"a"}
    assert {path.name: path.read_text() for path in (folders.root / "run/nginx/sites").glob("*")} == {
        "a.conf": GOOD
    }


def test_a_master_that_has_just_ended_is_left_to_its_supervisor(folders: Folders) -> None:
    nginx = service(folders)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (folders.root / "run/nginx.pid").write_text(f"{ended.pid}\n")

    assert asyncio.run(nginx.apply({"a": GOOD}, certificates="")) == {}
    assert (folders.root / "run/nginx/sites/a.conf").read_text() == GOOD


def test_a_master_that_ends_during_a_reload_is_not_waited_for(folders: Folders) -> None:
    nginx = service(folders)
    # The signal ends it, as it ends an nginx that is killed meanwhile; it is reaped at once.
    ending = subprocess.Popen(["sleep", "60"])
    (folders.root / "run/nginx.pid").write_text(f"{ending.pid}\n")

    async def reload() -> None:
        reloading = asyncio.create_task(nginx.reload())
        await asyncio.to_thread(ending.wait)
        await reloading

    asyncio.run(reload())  # else `Unavailable` after ten seconds
