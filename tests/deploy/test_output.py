"""What programs print: lines, prefixes, files of bounded size."""

import os
from io import StringIO
from pathlib import Path

import pytest

from deploy.embedded import output
from deploy.embedded.output import Console, ProgramLog


def test_lines_that_arrive_in_pieces_are_written_whole(tmp_path: Path) -> None:
    log = ProgramLog("nats", directory=tmp_path, console=None)
    for piece in (b"on", b"e\ntw", b"o\n", b"thr"):
        log.feed(piece)
    assert (tmp_path / "nats.log").read_bytes() == b"one\ntwo\n"
    log.end_line()
    log.close()
    assert (tmp_path / "nats.log").read_bytes() == b"one\ntwo\nthr\n"
    assert log.last_lines(2) == ["two", "thr"]


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    log = ProgramLog("nats", directory=tmp_path, console=None)
    for _ in range(40):
        log.feed(b"x" * 10_000)
    log.close()
    assert [len(line) for line in (tmp_path / "nats.log").read_bytes().split(b"\n")] == [70_000] * 5 + [0]


def test_a_large_log_is_put_aside_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "ROTATE_BYTES", 100)
    log = ProgramLog("nats", directory=tmp_path, console=None)
    for number in range(35):
        log.feed(f"line {number:04}\n".encode())
    log.close()
    assert (tmp_path / "nats.log.1").read_text().splitlines() == [f"line {n:04}" for n in range(20, 30)]
    assert (tmp_path / "nats.log").read_text().splitlines() == [f"line {n:04}" for n in range(30, 35)]


def test_a_later_start_appends(tmp_path: Path) -> None:
    for text in (b"before\n", b"after\n"):
        log = ProgramLog("nats", directory=tmp_path, console=None)
        log.feed(text)
        log.close()
    assert (tmp_path / "nats.log").read_text() == "before\nafter\n"


def test_each_program_has_its_own_colour_on_a_terminal_only() -> None:
    coloured, plain = StringIO(), StringIO()
    for stream, colour in ((coloured, True), (plain, None)):
        console = Console(stream, colour=colour)
        for name in ("nats", "postgres", "nats"):
            console.write(name, "x")
    prefixes = [line.split("|")[0] for line in coloured.getvalue().splitlines()]
    assert prefixes == ["\x1b[36mnats         ", "\x1b[33mpostgres     ", "\x1b[36mnats         "]
    assert plain.getvalue() == "nats         | x\npostgres     | x\nnats         | x\n"


def test_a_console_whose_reader_is_gone_falls_silent(tmp_path: Path) -> None:
    """As with `conecta up 2>&1 | head`; the file goes on."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        log = ProgramLog("nats", directory=tmp_path, console=Console(stream))
        log.feed(b"one\ntwo\n")
        log.close()
        assert (tmp_path / "nats.log").read_text() == "one\ntwo\n"
        with pytest.raises(BrokenPipeError):
            stream.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), writing)
