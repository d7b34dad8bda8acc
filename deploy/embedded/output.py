"""What programs print: into one log file each, and together on the console, each line under its program's name."""

import itertools
from collections import deque
from pathlib import Path
from typing import BinaryIO, TextIO

KEPT_LINES = 40
ROTATE_BYTES = 20 * 1024 * 1024
LONGEST_LINE = 64 * 1024
COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)  # cyan, yellow, green, magenta, blue, and bright again


class Console:
    """Lines of several programs on one stream; coloured if it is a terminal, silent once its reader is gone."""

    def __init__(self, stream: TextIO, *, colour: bool | None = None) -> None:
        """Colour by default only on a terminal."""
        self._stream = stream
        self._colour = stream.isatty() if colour is None else colour
        self._colours = itertools.cycle(COLOURS)
        self._prefixes: dict[str, str] = {}
        self._width = 12
        self._gone = False

    def write(self, name: str, line: str) -> None:
        """One line of `name`."""
        if self._gone:
            return
        try:
            self._stream.write(f"{self._prefix(name)} {line}\n")
            self._stream.flush()
        except OSError:  # the terminal or pipe is gone: the servers go on, the log files have every line
            self._gone = True

    def _prefix(self, name: str) -> str:
        if name not in self._prefixes:
            self._width = max(self._width, len(name))
            colour = next(self._colours)
            self._prefixes[name] = f"\x1b[{colour}m{name:<{self._width}} |\x1b[0m"
        return self._prefixes[name] if self._colour else f"{name:<{self._width}} |"


class ProgramLog:
    """One program's output: whole lines in a file of bounded size, the last ones at hand for error messages."""

    def __init__(self, name: str, *, directory: Path | None, console: Console | None) -> None:
        """`directory` and `console` may each be left out."""
        self._name = name
        self._path = directory / f"{name}.log" if directory else None
        self._file: BinaryIO | None = self._path.open("ab", buffering=0) if self._path else None
        self._console = console
        self._begun = b""
        self._last: deque[str] = deque(maxlen=KEPT_LINES)

    def feed(self, data: bytes) -> None:
        """Take what a program wrote, in pieces of any size."""
        *lines, self._begun = (self._begun + data).split(b"\n")
        for line in lines:
            self._line(line)
        if len(self._begun) > LONGEST_LINE:
            self.end_line()

    def end_line(self) -> None:
        """Treat what has come of a line as a whole one, as its program has ended."""
        if self._begun:
            self._line(self._begun)
            self._begun = b""

    def note(self, text: str) -> None:
        """A line of the supervisor's own about this program."""
        self._line(f"-- {text}".encode())

    def last_lines(self, count: int = 20) -> list[str]:
        """The newest lines, oldest first."""
        return list(self._last)[-count:]

    def close(self) -> None:
        """Close the file; nothing may be fed afterwards."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _line(self, raw: bytes) -> None:
        text = raw.decode("utf-8", errors="replace").rstrip("\r")
        self._last.append(text)
        if self._file is not None:
            self._file.write(raw + b"\n")
            self._rotate_if_large()
        if self._console is not None:
            self._console.write(self._name, text)

    def _rotate_if_large(self) -> None:
        if self._file is None or self._path is None or self._file.tell() < ROTATE_BYTES:
            return
        self._file.close()
        self._path.replace(self._path.with_suffix(".log.1"))
        self._file = self._path.open("ab", buffering=0)
