"""Notes of people on a run: a table of JSON lines that only grows, in ``annotations.jsonl``."""

from __future__ import annotations

import html
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from pyacq_lab.errors import ConfigurationError, RecordingError
from pyacq_lab.model.annotation import Annotation
from pyacq_lab.recording.files import LineFile, read_lines
from pyacq_lab.recording.lock import notes_locked

ANNOTATIONS = "annotations.jsonl"

_NS = 1_000_000_000


class Annotations(tuple[Annotation, ...]):
    """Notes in the order of their time; shows itself as a table."""

    def __repr__(self) -> str:
        return "\n".join(map(str, self)) or "no annotation"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{a.time:.3f}</td><td>{a.duration:g}</td><td>{html.escape(a.text)}</td>"
            f"<td>{html.escape(', '.join(f'{k}={v!r}' for k, v in a.fields.items()))}</td></tr>"
            for a in self
        )
        head = "<tr><th>time (s)</th><th>duration (s)</th><th>text</th><th>fields</th></tr>"
        return f"<table>{head}{rows}</table>"


def annotate(
    folder: Path,
    started_ns: int,
    now_ns: int,
    text: str,
    time: float | datetime | None,
    duration: float,
    fields: dict[str, Any],
) -> Annotation:
    """Write a note, through to the disk. Any thread of any process.

    Parameters
    ----------
    folder : Path
        The run folder.
    started_ns, now_ns : int
        When the run began, and now, ns since 1970 UTC.
    text : str
        The note.
    time : float, datetime or None
        When it happened: s since the run's start, or a date with its time zone; None: now.
    duration : float
        How long it lasted, s.
    fields : dict
        What else to keep, as plain data.

    Raises
    ------
    ConfigurationError
        Something of that is not what was wanted; nothing was written.
    RecordingError
        It cannot be written.
    """
    time_ns = _time_ns(time, started_ns, now_ns)
    if not isinstance(text, str) or not text.strip():
        raise ConfigurationError(f"text={text!r}: wanted what the note says")
    if isinstance(duration, bool) or not isinstance(duration, int | float) or not 0 <= duration < 1e9:
        raise ConfigurationError(f"duration={duration!r}: wanted seconds, 0 or more")
    note = Annotation(
        time=(time_ns - started_ns) / _NS,
        text=text,
        duration=float(duration),
        fields=fields,
        time_ns=time_ns,
        added_ns=now_ns,
    )
    try:
        note = msgspec.json.decode(msgspec.json.encode(note), type=Annotation)  # as it will be read
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        raise ConfigurationError(
            f"fields {', '.join(fields)}: wanted plain data, such as numbers, text, lists ({error})"
        ) from error
    try:
        # One at a time: who finds half a line of another process that died takes it away.
        with notes_locked(folder), LineFile(folder / ANNOTATIONS) as file:
            file.write(note)
            file.sync()
    except OSError as error:
        raise RecordingError(f"the note cannot be written to {folder}: {error}") from error
    return note


def read_annotations(folder: Path) -> Annotations:
    """Notes of a run. Raises RecordingError where they are damaged."""
    found: list[Annotation] = read_lines(folder / ANNOTATIONS, Annotation)
    return Annotations(sorted(found, key=lambda note: note.time_ns))


def _time_ns(time: float | datetime | None, started_ns: int, now_ns: int) -> int:
    if time is None:
        return now_ns
    if isinstance(time, datetime):
        if time.tzinfo is None:
            raise ConfigurationError(f"time={time!r}: wanted a date with its time zone, as datetime.now(UTC)")
        return round(time.timestamp() * 1e6) * 1000
    if isinstance(time, bool) or not isinstance(time, int | float) or not abs(time) < 1e9:
        raise ConfigurationError(f"time={time!r}: wanted seconds since the run's start, a datetime, or None")
    return started_ns + round(time * _NS)
