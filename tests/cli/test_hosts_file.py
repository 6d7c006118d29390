"""The hosts file: our lines between our markers, everything else untouched."""

from pathlib import Path

import pytest

from homeport.cli.hosts_file import hosts_lines, write_hosts
from homeport.model.errors import Conflict

OTHERS = b"127.0.0.1 localhost\n# \xff comment\r\n::1 ip6"


def test_lines_come_between_markers_and_the_rest_stays_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_bytes(OTHERS)
    file.chmod(0o640)

    write_hosts(file, hosts_lines("127.0.0.1", [["a.localhost", "a.scm.localhost"]]))
    first = file.read_bytes()
    write_hosts(file, ["127.0.0.1 b.localhost"])

    assert first.startswith(OTHERS + b"\n#")
    assert b"\n127.0.0.1 a.localhost a.scm.localhost\n" in first
    assert file.read_bytes() == first.replace(b"a.localhost a.scm.localhost", b"b.localhost")
    assert file.stat().st_mode & 0o777 == 0o640
    file.write_bytes(file.read_bytes() + b"192.0.2.1 after\n")
    write_hosts(file, [])
    assert file.read_bytes() == OTHERS + b"\n192.0.2.1 after\n"


def test_a_file_that_somebody_has_cut_up_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    write_hosts(file, ["127.0.0.1 a.localhost"])
    begin = file.read_text().splitlines()[0]
    file.write_text(f"{begin}\n127.0.0.1 a.localhost\n192.0.2.1 mine\n")

    with pytest.raises(Conflict, match="by hand"):
        write_hosts(file, ["127.0.0.1 b.localhost"])

    assert "192.0.2.1 mine" in file.read_text()
    assert list(tmp_path.iterdir()) == [file]
