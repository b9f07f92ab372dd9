"""Mending of a run whose recorder was killed, or whose files were cut."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from pyacq_lab.errors import RecordingError
from pyacq_lab.recording.eventtable import EventLine
from pyacq_lab.recording.evidence import gaps_of, journal_of, rows_on_disk
from pyacq_lab.recording.files import replace_file, whole_lines
from pyacq_lab.recording.lock import lock_run, notes_locked
from pyacq_lab.recording.manifest import (
    BACKUP,
    EVENTS,
    JOURNAL,
    MANIFEST,
    EndLine,
    GapLine,
    Manifest,
    SegmentEntry,
    SegmentLine,
    TimeLine,
    facts_of,
    stream_folder,
    write_manifest,
)
from pyacq_lab.recording.mending import mend_array
from pyacq_lab.recording.verification import (
    Progress,
    RunReport,
    SegmentReport,
    examine,
    find_manifest,
    line_files,
    verify,
)
from pyacq_lab.recording.video.repair import recover_video
from pyacq_lab.recording.video.table import VIDEO
from pyacq_lab.recording.zarr_layout import write_group

DAMAGED = "damaged"
"""Reason of a gap that stands where acknowledged samples were lost."""


@dataclass(frozen=True)
class Recovery:
    """What was done to a run.

    Attributes
    ----------
    before, after : RunReport
        How it was found, and how it was left.
    actions : tuple of str
        What was done.
    """

    before: RunReport
    after: RunReport
    actions: tuple[str, ...]

    def __str__(self) -> str:
        done = "\n".join(f"  {action}" for action in self.actions) or "  nothing was to be done"
        return f"{self.before}\nmended:\n{done}\n{self.after}"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def recover(path: str | Path, progress: Progress | None = None) -> Recovery:
    """Mend a run as far as it can be: afterwards `verify` finds all whole, and any Zarr reader reads all.

    What was written and not acknowledged is added. Samples that are lost become a gap with the reason
    ``"damaged"``. No sample is removed or moved. May be called again, and on a run that is whole.

    Parameters
    ----------
    path : str or Path
        The run folder.
    progress : callable, optional
        As for `verify`, which is called before and after.

    Raises
    ------
    RecordingError
        This is no run folder; a recorder is at it; or its files cannot be written.
    """
    folder = Path(path).expanduser().absolute()
    before = verify(folder, progress)
    lock = lock_run(folder)
    try:
        manifest, problems = find_manifest(folder)
        actions = [f"run.json is made anew: {problem}" for problem in problems]
        _mend_group(folder, manifest)
        reports = {(report.name, report.number): report for report in before.segments}
        for name, stream in manifest.streams.items():
            write_group(folder / stream_folder(name))
            for number, entry in enumerate(stream.segments):
                done = _mend(folder, name, entry, reports[name, number])
                actions += [f"{name}, segment {number}: {action}" for action in done]
        with notes_locked(folder):
            for table in line_files(folder):
                actions += _cut_table(table, dict)
        if actions or manifest.state == "recording":
            _write(folder, manifest)
    except OSError as error:
        raise RecordingError(f"{folder} cannot be mended: {error}. Nothing that was whole is lost") from error
    finally:
        lock.release()
    return Recovery(before, verify(folder, progress), tuple(actions))


def _mend_group(folder: Path, manifest: Manifest) -> None:
    write_group(folder, facts_of(manifest))
    write_group(folder / "streams")


def _mend(folder: Path, name: str, entry: SegmentEntry, report: SegmentReport) -> Iterator[str]:
    """Mend a segment and what ``run.json`` says of it; tells what was done."""
    lines, problem, _ = journal_of(folder, entry)
    if entry.kind == "video" and recover_video(folder / entry.folder, entry).is_changed:
        yield f"{VIDEO} and its table of frames are brought in accord"
        written = entry.start + rows_on_disk(folder, entry, [])
        mended = examine(folder, name, report.number, entry)
        report = replace(mended, written=max(report.written, written, entry.acknowledged))
    if report.written > entry.acknowledged:
        yield f"{report.written - entry.acknowledged} samples are added that had not been acknowledged"
        entry.acknowledged = report.written
        entry.gaps = gaps_of(entry, lines)
        report = examine(folder, name, report.number, entry)
    known = gaps_of(entry, lines)
    for lost in report.damaged:
        yield f"samples [{lost.start}, {lost.stop}) are lost, and a gap now: {lost.why}"
        known.append(GapLine(lost.start, lost.stop, DAMAGED))
    entry.gaps = sorted(known, key=lambda gap: gap.start)
    # The journal first: it says what does not count of a last chunk that is filled up.
    times = [line for line in lines if isinstance(line, TimeLine)]
    wanted = [SegmentLine(name, _as_begun(entry)), *entry.gaps, *times, EndLine(entry.acknowledged)]
    is_ended = bool(lines) and lines[-1] == wanted[-1]
    if problem or report.problems or report.damaged or not is_ended:
        yield f"{JOURNAL} is written anew" if problem or report.problems else f"{JOURNAL} is ended"
        text = b"".join(msgspec.json.encode(line) + b"\n" for line in wanted)
        replace_file(folder / entry.folder / JOURNAL, text, sync=True)
    if entry.kind == "events":
        yield from _mend_events(folder, entry)
    elif entry.kind == "array":
        yield from mend_array(folder / entry.folder, entry)


def _as_begun(entry: SegmentEntry) -> SegmentEntry:
    return msgspec.structs.replace(entry, acknowledged=entry.start, gaps=[])


def _mend_events(folder: Path, entry: SegmentEntry) -> Iterator[str]:
    path = folder / entry.folder / EVENTS
    if not path.exists():
        path.touch()
        yield f"{EVENTS} was missing"
    yield from _cut_table(path, EventLine)


def _cut_table(path: Path, line_type: type) -> Iterator[str]:
    """Cut off what follows the last whole line of a table."""
    _, _, nbytes = whole_lines(path, line_type)
    excess = path.stat().st_size - nbytes
    if excess:
        os.truncate(path, nbytes)
        yield f"{path.name} ends after its last whole line: {excess} bytes are cut off"


def _write(folder: Path, manifest: Manifest) -> None:
    manifest.state = "recovered"
    for file in (BACKUP, MANIFEST):
        write_manifest(folder, manifest, sync=True, file=file)
