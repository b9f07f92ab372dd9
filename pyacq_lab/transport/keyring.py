"""The keys of one user on one machine, in Jupyter's data folder."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

from jupyter_core.paths import jupyter_data_dir

from pyacq_lab.errors import AuthenticationError
from pyacq_lab.transport.keys import KeyPair, check_key, load_or_create
from pyacq_lab.transport.sockets import is_loopback, parse_endpoint

log = logging.getLogger(__name__)

Stamp = tuple[int, int, int, int]


class Keyring:
    """Key files of mode 0600 in a folder of mode 0700; safe from any thread.

    * ``user.key`` proves the user's managers to hosts,
    * ``host.key`` proves the user's host servers to managers,
    * ``authorized_keys`` lists the public keys that host servers admit, one per line with a comment
      behind it; no key begins with ``#``, such a line is a comment. Changes count at once,
    * ``known_hosts`` lists the public key of each host that was added before.

    Parameters
    ----------
    folder : Path, optional
        Where; ``pyacq_lab`` in Jupyter's data folder unless given.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or Path(jupyter_data_dir()) / "pyacq_lab"
        self._lock = threading.Lock()
        self._admitted: frozenset[str] = frozenset()
        self._read: tuple[Stamp | None, Stamp | None] | None = None

    def user(self) -> KeyPair:
        """Key pair of the user's managers. Raises AuthenticationError where its file is not safe."""
        return load_or_create(self.folder / "user.key")

    def host(self) -> KeyPair:
        """Key pair of the user's host servers. Raises AuthenticationError where its file is not safe."""
        return load_or_create(self.folder / "host.key")

    def authorized(self) -> frozenset[str]:
        """Public keys that host servers admit: those of the file, and the user's own.

        The files are read again only where they have changed.

        Raises
        ------
        AuthenticationError
            Others than the user could have changed what they hold.
        """
        with self._lock:
            files = self.folder / "authorized_keys", self.folder / "user.key"
            now = _stamp(files[0]), _stamp(files[1])
            if self._read is None or now != self._read:
                self._read = None
                admitted = {self.user().public, *self._authorized_lines()}
                self._admitted, self._read = frozenset(admitted), now
            return self._admitted

    def authorize(self, public_key: str, comment: str) -> None:
        """Admit a key from now on."""
        check_key(public_key)
        if public_key not in self.authorized():
            self._append("authorized_keys", f"{public_key} {' '.join(comment.split())}")

    def known_host(self, endpoint: str) -> str | None:
        """Public key of a host that was added before, or that runs under this user on this machine."""
        for line in reversed(self._lines("known_hosts")):
            known, _, key = line.partition(" ")
            if known == endpoint:
                return key
        return self.host().public if is_loopback(parse_endpoint(endpoint)[0]) else None

    def remember_host(self, endpoint: str, public_key: str) -> None:
        """Note the public key of a host."""
        if self.known_host(endpoint) != public_key:
            self._append("known_hosts", f"{endpoint} {public_key}")

    def _authorized_lines(self) -> set[str]:
        keys: set[str] = set()
        for line in self._lines("authorized_keys"):
            try:
                keys.add(check_key(line.split()[0]))
            except AuthenticationError as error:
                log.warning("%s: ignored a line: %s", self.folder / "authorized_keys", error)
        return keys

    def _lines(self, name: str) -> list[str]:
        path = self.folder / name
        try:
            mode = path.stat().st_mode
            text = path.read_text()
        except FileNotFoundError:
            return []
        if os.name == "posix" and mode & 0o022:
            raise AuthenticationError(
                f"{path} can be changed by others, who could let themselves in; "
                f"look at what it holds, then mend it with: chmod 600 {path}"
            )
        lines = (line.strip() for line in text.splitlines())
        return [line for line in lines if line and not line.startswith("#")]

    def _append(self, name: str, line: str) -> None:
        self.folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        path = self.folder / name
        text = path.read_text() if path.exists() else ""
        begin = "" if not text or text.endswith("\n") else "\n"  # an editor may have left its last line open
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(f"{begin}{line}\n")


def split_host_key(key: str) -> tuple[str, str | None]:
    """Split what a host prints: its public key, and a pairing token behind it where there is one.

    Raises
    ------
    AuthenticationError
        It is neither 40 nor 80 characters of Z85.
    """
    if not isinstance(key, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise AuthenticationError(
            f"{type(key).__name__} came as a key; wanted text, as `pyacq-lab host` prints"
        )
    if len(key) not in (40, 80):
        raise AuthenticationError(
            f"a key of {len(key)} characters came; wanted the 40 of the host's public key, or the 80 that "
            "`pyacq-lab host` prints for pairing"
        )
    public, token = key[:40], key[40:]
    check_key(public)
    return public, check_key(token) if token else None


def _stamp(path: Path) -> Stamp | None:
    """What differs once a file was changed, replaced, or given other rights; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
