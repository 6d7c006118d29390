"""Links in a folder that nginx serves lead nowhere, by the mount itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from homeport.node.link_refusal import mounts_refuse_links, without_links

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount; others keep disable_symlinks")


def run(folder: Path, *program: str) -> subprocess.CompletedProcess[str]:
    line = ("bwrap", "--dev-bind", "/", "/", "--proc", "/proc", "--bind", str(folder), str(folder), "--")
    return subprocess.run(
        (*line, *without_links(folder, program)), capture_output=True, text=True, check=False
    )


@needs_root
def test_no_link_is_followed_and_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/file").write_text("text")
    (tmp_path / "link").symlink_to("real/file")
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "outside").symlink_to("/etc")

    assert mounts_refuse_links(tmp_path)
    assert run(tmp_path, "cat", str(tmp_path / "real/file")).stdout == "text"
    for path in ("link", "folder/file", "outside/hostname"):
        refused = run(tmp_path, "cat", str(tmp_path / path))
        assert (refused.stdout, refused.returncode) == ("", 1)
        assert "symbolic links" in refused.stderr
    assert (tmp_path / "link").read_text() == "text"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "link", "outside", "real"]


@needs_root
def test_a_folder_that_becomes_a_link_and_back_leads_nowhere(tmp_path: Path) -> None:
    outside, served = tmp_path / "outside", tmp_path / "served"
    for folder, text in ((outside, "outside\n"), (served / "folder", "inside\n")):
        folder.mkdir(parents=True)
        (folder / "file").write_text(text)
    (served / "link").symlink_to(outside)
    swap = "import sys; from pathlib import Path; from homeport.scm.deployments.switching import exchange\n"
    swap += "print(flush=True)\nwhile True: exchange(*map(Path, sys.argv[1:]))"
    line = (sys.executable, "-c", swap, str(served / "folder"), str(served / "link"))
    read = 'for i in $(seq 20000); do if read -r line < "$0/folder/file"; then echo "$line"; else echo refused; fi; done'

    with subprocess.Popen(line, stdout=subprocess.PIPE) as tenant:
        try:
            assert tenant.stdout
            assert tenant.stdout.readline() == b"\n"
            seen = run(served, "sh", "-c", f"({read}) 2>/dev/null", str(served)).stdout
        finally:
            tenant.kill()

    assert set(seen.split()) == {"inside", "refused"}


@needs_root
def test_a_program_is_not_run_where_the_mount_cannot_be_made(tmp_path: Path) -> None:
    line = without_links(tmp_path / "no-mount-point", ("echo", "served"))

    tried = subprocess.run(line, capture_output=True, text=True, check=False)

    assert (tried.stdout, tried.returncode != 0) == ("", True)


def test_a_machine_without_the_means_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert not mounts_refuse_links(tmp_path)
