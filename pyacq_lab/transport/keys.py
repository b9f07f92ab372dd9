"""CurveZMQ key pairs and the files that hold them."""

from __future__ import annotations

import contextlib
import os
import secrets
import struct
from pathlib import Path
from typing import NamedTuple

import zmq
from zmq.utils import z85

from pyacq_lab.errors import AuthenticationError


class KeyPair(NamedTuple):
    """A CurveZMQ key pair, each half 40 characters of Z85."""

    public: str
    secret: str

    @classmethod
    def generate(cls) -> KeyPair:
        """Make a new random pair."""
        public, secret = zmq.curve_keypair()
        return cls(public.decode(), secret.decode())

    @classmethod
    def from_secret(cls, secret: str) -> KeyPair:
        """Derive the public half. Raises AuthenticationError where ``secret`` is not a key."""
        check_key(secret)
        return cls(zmq.curve_public(secret.encode()).decode(), secret)

    def __repr__(self) -> str:
        return f"KeyPair(public={self.public!r}, secret=...)"


def check_key(key: str) -> str:
    """Return ``key`` unchanged. Raises AuthenticationError where it is not 40 characters of Z85."""
    try:
        if len(key) != 40 or len(z85.decode(key)) != 32:
            raise ValueError(key)
    except (ValueError, KeyError, TypeError, struct.error):
        raise AuthenticationError(
            f"a key of {len(key)} characters came; wanted 40 characters of Z85, whole as it was given out "
            "(`pyacq-lab host` prints that of a host, the address of a stream carries its own)"
        ) from None
    return key


def load_or_create(path: Path) -> KeyPair:
    """Key pair kept in a file of mode 0600, made at first use.

    Raises
    ------
    AuthenticationError
        The file can be read by others, or does not hold a key.
    """
    if path.exists():
        return _load(path)
    path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    half = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(KeyPair.generate().secret + "\n")
        # Whole or not at all, also on a disk that is full; the first of several who make one at once wins.
        with contextlib.suppress(FileExistsError):
            os.link(half, path)
    finally:
        half.unlink(missing_ok=True)
    return _load(path)


def _load(path: Path) -> KeyPair:
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise AuthenticationError(
            f"the key file {path} can be read by others; mend it with: chmod 600 {path}"
        )
    try:
        return KeyPair.from_secret(path.read_text().strip())
    except AuthenticationError as error:
        raise AuthenticationError(
            f"the file {path} holds no key ({error}): remove it, and pair again"
        ) from None
