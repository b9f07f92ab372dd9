"""Export: the format by name, the file by rename."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from pyacq_lab.errors import ConfigurationError, RecordingError
from pyacq_lab.recording.export.plan import Plan, Progress, plan_of
from pyacq_lab.recording.run import Run


class _Format(NamedTuple):
    suffixes: tuple[str, ...]
    module: str
    function: str = "write"

    @property
    def write(self) -> Callable[[Plan, Path], None]:
        return getattr(import_module(f"{__package__}.{self.module}"), self.function)


FORMATS = {
    "hdf5": _Format((".h5", ".hdf5"), "hdf5"),
    "nwb": _Format((".nwb",), "nwb"),
    "xdf": _Format((".xdf",), "xdf"),
    "edf": _Format((".edf",), "edf"),
    "bdf": _Format((".bdf",), "edf", "write_bdf"),
    "wav": _Format((".wav",), "wav"),
    "csv": _Format((".csv",), "csv"),
}
"""What can be written, by name; a function ``write(plan, path)`` each."""


def export(
    run: Run,
    path: str | Path,
    format: str | None = None,
    streams: str | Sequence[str] | None = None,
    *,
    segment: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Path:
    """Write a recorded run, or some of its streams, into one file of another format.

    Samples go through memory block by block. The file appears under its name when it is whole; where the
    export fails, nothing is left. What is lost because the format cannot hold it is told by an
    `ExportWarning`; what would come out wrong is refused.

    Parameters
    ----------
    run : Run
        The run; one that is still being recorded is exported as far as it was acknowledged.
    path : str or Path
        The file.
    format : str, optional
        One of `FORMATS`; None takes it from the end of the file's name.
    streams : str or sequence of str, optional
        Names of the streams; None for all.
    segment : int, optional
        Which start of the streams, counted from 0; None for all.
    overwrite : bool
        Whether a file that exists is replaced.
    progress : callable, optional
        Called with the number of samples written so far and of all.
    metadata : mapping, optional
        For NWB: more fields of `pynwb.NWBFile`, such as ``experimenter`` and ``institution``, and of
        `pynwb.file.Subject` in a mapping ``subject``.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ConfigurationError
        The format is not known, or cannot hold what was asked for. Nothing was written.
    UnknownName
        There is no stream or no segment of this name.
    RecordingError
        The file exists, or cannot be written, or the run cannot be read.
    MissingDependency
        The package that writes this format is not installed.
    """
    path = Path(path).expanduser().absolute()
    chosen = _format(path, format)
    if run.path == path or run.path in path.parents:
        raise ConfigurationError(
            f"{path} is in the run folder, which holds the recording only: give another path"
        )
    if metadata and chosen is not FORMATS["nwb"]:
        raise ConfigurationError(f"metadata={dict(metadata)!r}: only NWB has fields for it; leave it out")
    plan = plan_of(run, streams, segment, progress)
    plan.metadata = metadata or {}
    _refuse_existing(path, overwrite)
    try:
        _sweep_drafts(path)
        draft = _draft(path)
        try:
            chosen.write(plan, draft)
            _refuse_existing(path, overwrite)
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    except RecordingError:
        raise
    except OSError as error:
        raise RecordingError(f"{path} cannot be written: {error}") from error
    return path


def _format(path: Path, name: str | None) -> _Format:
    if name is None:
        found = [f for f in FORMATS.values() if path.suffix.lower() in f.suffixes]
        if not found:
            known = ", ".join(s for f in FORMATS.values() for s in f.suffixes)
            raise ConfigurationError(f"{path.name}: wanted a name that ends in {known}, or format=")
        return found[0]
    if name not in FORMATS:
        raise ConfigurationError(f"format={name!r}: wanted one of {', '.join(map(repr, FORMATS))}")
    return FORMATS[name]


def _draft(path: Path) -> Path:
    """Name of what becomes the file: beside it, on the same disk, so that a rename is enough."""
    # The suffix stays, as some writers want theirs; a second export of the same name has another token.
    return path.with_name(f".{path.stem}.{os.getpid()}-{secrets.token_hex(4)}.draft{path.suffix}")


def _sweep_drafts(path: Path) -> None:
    """Remove drafts of this file that processes left when they were killed."""
    wanted = re.compile(rf"\.{re.escape(path.stem)}\.(\d+)-[0-9a-f]{{8}}\.draft{re.escape(path.suffix)}")
    for found in path.parent.iterdir():
        if (draft := wanted.fullmatch(found.name)) and not psutil.pid_exists(int(draft[1])):
            found.unlink(missing_ok=True)


def _refuse_existing(path: Path, overwrite: bool) -> None:
    if path.is_dir():
        raise RecordingError(f"{path} is a folder: give the path of a file")
    if path.exists() and not overwrite:
        raise RecordingError(f"{path} exists already: give another path, or overwrite=True (--overwrite)")
