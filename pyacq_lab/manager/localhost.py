"""The manager's own host: a host server on this machine that lives and dies with the manager."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections import deque

from pyacq_lab.errors import HostUnreachable

START_TIMEOUT = 30.0

_INVITATION = re.compile(r'add_host\("(?P<endpoint>[^"]+)", key="(?P<key>[^"]+)"\)')


class LocalHost:
    """A host server in a process of its own, started on a free port of the loopback interface.

    It ends when its standard input does: also where this process is killed.

    Attributes
    ----------
    endpoint, key : str
        For `Manager.add_host`.
    """

    def __init__(self, name: str = "local") -> None:
        command = [sys.executable, "-m", "pyacq_lab.host", "tcp://127.0.0.1:0", "--child", "--no-pairing"]
        self._process = subprocess.Popen(
            [*command, "--name", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C in a terminal is for the notebook's kernel, not for acquisition
        )
        self._said: deque[str] = deque(maxlen=50)
        self._listener = threading.Thread(target=self._listen, name="pyacq-local-host", daemon=True)
        self._listener.start()
        try:
            self.endpoint, self.key = self._invitation()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process.poll() is None

    def close(self, timeout: float = 10.0) -> None:
        """End it; idempotent."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _invitation(self) -> tuple[str, str]:
        line: list[str] = []
        stdout = self._process.stdout
        reader = threading.Thread(
            target=lambda: line.append(stdout.readline() if stdout is not None else ""), daemon=True
        )
        reader.start()
        reader.join(START_TIMEOUT)
        match = _INVITATION.search("".join(line))
        if match is None:
            said = "".join(self._said).strip() or "nothing"
            raise HostUnreachable(
                f"the local host server did not start within {START_TIMEOUT:g} s; it said: {said}"
            )
        return match["endpoint"], match["key"]

    def _listen(self) -> None:
        """Keep its standard error drained, and remember its last lines."""
        if self._process.stderr is not None:
            self._said.extend(self._process.stderr)
