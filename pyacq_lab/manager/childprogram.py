"""A program of this package that lives and dies with this process."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable

START_TIMEOUT = 30.0


class ChildProgram:
    """A program in a process of its own, told by the end of its standard input to end.

    That end comes also where this process is killed. Its standard error is read by a thread.

    Parameters
    ----------
    module : str
        What ``python -m`` runs.
    *arguments : str
        Its command line, which everybody on this machine can read.
    first_words : str
        Sent over its standard input at once: the place for secrets.
    on_line : callable, optional
        Takes each line of its standard error, with its end, in that thread.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        first_words: str = "",
        on_line: Callable[[str], object] | None = None,
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="backslashreplace",
            start_new_session=True,  # Ctrl-C in a terminal is for the notebook's kernel, not for acquisition
        )
        self._on_line = on_line
        self._said: deque[str] = deque(maxlen=50)
        self._listener = threading.Thread(target=self._listen, name=f"pyacq {module}", daemon=True)
        self._listener.start()
        self._tell(first_words)

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process.poll() is None

    @property
    def last_words(self) -> str:
        """Last lines of its standard error."""
        return "".join(self._said).strip() or "nothing"

    def first_line(self, timeout: float = START_TIMEOUT) -> str:
        """First line of its standard output; empty where none came in time."""
        line: list[str] = []
        stdout = self.process.stdout
        reader = threading.Thread(
            target=lambda: line.append(stdout.readline() if stdout is not None else ""), daemon=True
        )
        reader.start()
        reader.join(timeout)
        return "".join(line)

    def close(self, timeout: float = 10.0) -> None:
        """End it, by force where it takes longer than ``timeout`` seconds; idempotent."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._listener.join()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def _tell(self, text: str) -> None:
        if not text or self.process.stdin is None:
            return
        try:
            self.process.stdin.write(text)
            self.process.stdin.flush()
        except BrokenPipeError:
            return  # it has ended already: who waits for its first line hears why

    def _listen(self) -> None:
        """Keep its standard error drained, and remember its last lines."""
        for line in self.process.stderr or ():
            self._said.append(line)
            if self._on_line is not None:
                self._on_line(line)
