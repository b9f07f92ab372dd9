"""Where a recorder begins: its run folder is made, or taken up where another recorder left it."""

from __future__ import annotations

import logging
import platform
import shutil
import time
from pathlib import Path

import numpy as np

from pyacq_lab._version import __version__
from pyacq_lab.errors import RecordingError
from pyacq_lab.recording.diskroom import DiskRoom
from pyacq_lab.recording.evidence import add_unlisted, salvage
from pyacq_lab.recording.manifest import BACKUP, LOCK, MANIFEST, Manifest, facts_of, read_manifest
from pyacq_lab.recording.zarr_layout import write_group

log = logging.getLogger(__name__)

_MADE_FIRST = {"zarr.json", "streams", LOCK, MANIFEST, BACKUP}
"""What a run folder has before the first sample; also with ``.new`` behind, where a kill came."""


def folder_of(path: str, now_ns: int, min_free: float) -> Path:
    """Run folder that a setting means, with date and time filled in; its parent is made, and has room.

    Raises
    ------
    RecordingError
        There is less room than ``min_free`` GB.
    """
    now = time.gmtime(now_ns // 1_000_000_000)
    for key, form in (("{date}", "%Y-%m-%d"), ("{time}", "%H-%M-%S")):
        path = path.replace(key, time.strftime(form, now))
    folder = Path(path).expanduser().absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    DiskRoom(folder.parent).require(min_free)
    return folder


def take_folder(folder: Path, *, may_exist: bool) -> bool:
    """Make a run folder; False where there is one already that may be gone on with.

    Raises
    ------
    RecordingError
        There is something in this place.
    """
    try:
        folder.mkdir()
    except FileExistsError:
        if may_exist and folder.is_dir():
            if not _is_run(folder) and not _is_blank(folder):
                raise RecordingError(
                    f"{folder} is not a run folder, and not empty: give another path, or one of a run"
                ) from None
            return False
        raise RecordingError(
            f"{folder} exists already and is never overwritten: give another path, "
            "one with {date} and {time} in it, or existing='continue' to add to the run that is there"
        ) from None
    return True


def remove_made(folder: Path) -> None:
    """Remove a folder that was made in vain: the next start finds its place free."""
    try:
        shutil.rmtree(folder)
    except OSError as error:
        log.warning("%s, in which nothing was recorded, cannot be removed: %s", folder, error)


def make_run(folder: Path, now_ns: int) -> Manifest:
    """Begin a run in an empty folder."""
    manifest = Manifest(
        started_ns=now_ns,
        host=platform.node(),
        software={
            "pyacq_lab": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "platform": platform.platform(),
        },
        streams={},
    )
    write_group(folder, facts_of(manifest))
    write_group(folder / "streams")
    return manifest


def take_up(folder: Path, now_ns: int) -> Manifest:
    """Go on with the run in a folder; where its recorder was killed, with all that it had written.

    Raises
    ------
    RecordingError
        It is no run, it is damaged, or another version of the software wrote it.
    """
    if _is_blank(folder):
        return make_run(folder, now_ns)
    manifest = read_manifest(folder)
    if manifest.state == "recording":
        add_unlisted(folder, manifest)
        for stream in manifest.streams.values():
            for segment in stream.segments:
                stream.ledger = salvage(folder, segment).after(stream.ledger)
    return manifest


def _is_blank(folder: Path) -> bool:
    """Whether a folder is empty, or holds what a recorder made that was killed before it could begin."""
    if _is_run(folder):
        return False
    made = {path.name.removesuffix(".new") for path in folder.iterdir()}
    return made <= _MADE_FIRST and not any((folder / "streams").glob("*/*/"))


def _is_run(folder: Path) -> bool:
    return (folder / MANIFEST).exists() or (folder / BACKUP).exists()
