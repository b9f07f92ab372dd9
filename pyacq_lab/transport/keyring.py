"""The keys of one user on one machine, in Jupyter's data folder."""

from __future__ import annotations

import os
from pathlib import Path

from jupyter_core.paths import jupyter_data_dir

from pyacq_lab.errors import AuthenticationError
from pyacq_lab.transport.keys import KeyPair, check_key, load_or_create
from pyacq_lab.transport.sockets import is_loopback, parse_endpoint


class Keyring:
    """Key files of mode 0600 in a folder of mode 0700.

    * ``user.key`` proves the user's managers to hosts,
    * ``host.key`` proves the user's host servers to managers,
    * ``authorized_keys`` lists the public keys that host servers admit, one per line, ``#`` for comments,
    * ``known_hosts`` lists the public key of each host that was added before.

    Parameters
    ----------
    folder : Path, optional
        Where; ``pyacq_lab`` in Jupyter's data folder unless given.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or Path(jupyter_data_dir()) / "pyacq_lab"

    def user(self) -> KeyPair:
        """Key pair of the user's managers."""
        return load_or_create(self.folder / "user.key")

    def host(self) -> KeyPair:
        """Key pair of the user's host servers."""
        return load_or_create(self.folder / "host.key")

    def authorized(self) -> set[str]:
        """Public keys that host servers admit: those of the file, and the user's own."""
        lines = self._lines("authorized_keys")
        return {self.user().public, *(line.split()[0] for line in lines)}

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

    def _lines(self, name: str) -> list[str]:
        try:
            text = (self.folder / name).read_text()
        except FileNotFoundError:
            return []
        return [
            line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("# ")
        ]

    def _append(self, name: str, line: str) -> None:
        self.folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        fd = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(line + "\n")


def split_host_key(key: str) -> tuple[str, str | None]:
    """Split what a host prints: its public key, and a pairing token behind it where there is one.

    Raises
    ------
    AuthenticationError
        It is neither 40 nor 80 characters of Z85.
    """
    if len(key) not in (40, 80):
        raise AuthenticationError(
            f"a key of {len(key)} characters came; wanted the 40 of the host's public key, or the 80 that "
            "`pyacq-lab host` prints for pairing"
        )
    public, token = key[:40], key[40:]
    check_key(public)
    return public, check_key(token) if token else None
