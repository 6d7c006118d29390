from hypothesis import given
from hypothesis import strategies as st

from homeport.ftp.commands import DATA, PASSED_ON, SAY, SESSION, read_command


def test_a_command_is_read_in_any_letter_case_and_its_argument_as_it_is() -> None:
    assert read_command(b"retr A  b.txt ") == ("RETR", "A  b.txt ")
    assert read_command(b"PWD") == ("PWD", "")
    assert read_command("STOR ü.txt".encode()) == ("STOR", "ü.txt")


def test_the_telnet_signals_before_an_abort_are_left_out() -> None:
    assert read_command(b"\xff\xf4\xff\xf2ABOR") == ("ABOR", "")


def test_nothing_that_clients_say_is_taken_for_the_fronts_own_words() -> None:
    assert not PASSED_ON & {
        SESSION,
        SAY,
        DATA,
        "USER",
        "PASS",
        "PASV",
        "EPSV",
        "PORT",
        "EPRT",
        "REIN",
        "HELP",
    }


@given(st.binary())
def test_any_line_is_read(line: bytes) -> None:
    command, _ = read_command(line)
    assert " " not in command
