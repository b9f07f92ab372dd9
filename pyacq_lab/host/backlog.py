"""What a host and its processes said and no manager has received, kept on disk for the next one."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import platform
import re
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

import psutil
from jupyter_core.paths import jupyter_data_dir

from pyacq_lab.model.logs import LogRecord
from pyacq_lab.transport.living import lives
from pyacq_lab.transport.spill import LogSpill
from pyacq_lab.wire.logcodec import LogOrigin, Words, encode_batch, encode_words

log = logging.getLogger(__name__)

ANYBODY = ""
"""Stands for the key of whoever comes next, where a record concerns no manager."""

_NAME = re.compile(r"(?P<pid>\d+)-(?P<born>\d+)-[0-9a-f]+$")


def backlog_root(host: str) -> Path:
    """Folder of the hosts of this name, machine and user: a home may be shared by machines."""
    machine = platform.node() or "machine"
    return Path(jupyter_data_dir()) / "pyacq_lab" / "unheard" / machine / quote(host, safe=" ")


class Backlog:
    """The records that wait for a manager, of each key apart: what one user's processes said is his.

    Lives in the host's event loop. The folder is the host's own, of mode 0700; what hosts of the same name
    have left, and ended, is taken over. Where the disk does not take records, they are counted.

    Parameters
    ----------
    host : str
        The host's name.
    root : Path, optional
        Where the folder is made, once there is something to keep; `backlog_root` unless given.
    """

    def __init__(self, host: str, root: Path | None = None) -> None:
        self._host = host
        self._root = root or backlog_root(host)
        born = int(psutil.Process().create_time())
        self._folder = self._root / f"{os.getpid()}-{born}-{secrets.token_hex(4)}"
        self._spills: dict[Path, LogSpill] = {}
        self._readers: dict[Path, str] = {}
        self._numbers = 0
        self._place = 0

    def take_over(self) -> None:
        """Take over what hosts of this name have left that run no more. Called once, at the start."""
        try:
            left = [path for path in self._root.iterdir() if _is_left(path)]
        except FileNotFoundError:
            return
        except OSError as error:
            log.error("what nobody heard of earlier hosts cannot be read in %s: %s", self._root, error)
            return
        for path in left:
            taken = path.with_name(f"taken-{secrets.token_hex(8)}")
            try:
                path.rename(taken)  # the first host that does so has it
                self._take_in(taken)
            except OSError as error:
                log.warning("what nobody heard of an earlier host stays in %s: %s", path, error)

    def _take_in(self, folder: Path) -> None:
        for path in folder.iterdir():
            spill = LogSpill(path)
            position = 0
            while (page := spill.read(position))[1]:
                position = page[0]
                mine = self._folder / path.name
                for message in page[1]:
                    self._spill(mine).append(message)
        shutil.rmtree(folder)

    def keep(self, key: str, messages: Iterable[bytes]) -> None:
        """Keep batches for the next manager that proves ``key``."""
        for message in messages:
            self._spill(self._folder / _owner(key)).append(message)

    def keep_records(self, key: str, records: Iterable[LogRecord]) -> None:
        """Keep records that were not told, with their numbers."""
        self.keep(key, (_message(record) for record in records))

    def keep_own(self, key: str, words: Words) -> None:
        """Keep a record of the host's own. They are numbered in a channel of their own."""
        origin = LogOrigin(host=self._host, process="host", channel="unheard")
        self.keep(key, [encode_batch(self._numbers, origin, [encode_words(words)])])
        self._numbers += 1

    def read(self, key: str, reader: str, present: Iterable[str], since: int) -> tuple[int, list[bytes]]:
        """Batches for a manager, and the place behind them; see `wire.messages.Backlog`.

        Parameters
        ----------
        key, reader : str
            The key that it proves, and its id.
        present : iterable of str
            Ids of the managers that there are: while one of them is at it, others get nothing.
        since : int
            The place up to which it has heard.
        """
        path = self._folder / _owner(key)
        at_it = self._readers.get(path, reader)
        if at_it != reader and at_it in present:
            return since, []
        self._readers[path] = reader
        for spill in self._of(ANYBODY):
            position = 0
            while (page := spill.read(position))[1]:
                position = page[0]
                self.keep(key, page[1])
            self._remove(spill)
        for spill in self._of(key):
            spill.forget(since)
            position, messages = spill.read(since)
            if messages:
                return position, messages
            self._remove(spill)
        del self._readers[path]
        return since, []

    def close(self) -> None:
        """Leave what nobody heard to the next host of this name. Idempotent."""
        for spill in self._spills.values():
            spill.close()
        with contextlib.suppress(OSError):  # not empty, or never made
            self._folder.rmdir()

    def _spill(self, path: Path) -> LogSpill:
        if path not in self._spills:
            self._spills[path] = LogSpill(path, start=self._place)
        return self._spills[path]

    def _of(self, key: str) -> list[LogSpill]:
        return [spill for path, spill in self._spills.items() if path.name == _owner(key)]

    def _remove(self, spill: LogSpill) -> None:
        self._place = max(self._place, spill.end)  # a place never stands for two batches
        spill.remove()
        del self._spills[spill.folder]


def _owner(key: str) -> str:
    """Name of the folder for a key: keys hold signs that no file may."""
    return hashlib.sha256(key.encode()).hexdigest()[:32] if key else "anybody"


def _is_left(path: Path) -> bool:
    match = _NAME.match(path.name)
    return match is not None and not lives(int(match["pid"]), int(match["born"]))


def _message(record: LogRecord) -> bytes:
    origin = LogOrigin(host=record.host, process=record.process, pid=record.pid, channel=record.channel)
    fields = {name: getattr(record, name) for name in Words.__struct_fields__}
    return encode_batch(record.seq, origin, [encode_words(Words(**fields))])
