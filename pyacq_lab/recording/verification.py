"""What of a run is whole: every checksum is reckoned, every file is held against what ``run.json`` says."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from pyacq_lab.errors import RecordingError
from pyacq_lab.recording.evidence import add_unlisted, gaps_of, journal_of, rows_on_disk
from pyacq_lab.recording.files import whole_lines
from pyacq_lab.recording.lock import is_locked
from pyacq_lab.recording.manifest import (
    BACKUP,
    GapLine,
    Manifest,
    SegmentEntry,
    SegmentLine,
    StreamEntry,
    read_manifest,
)
from pyacq_lab.recording.wholeness import Counted, Found, ignore, uncovered, whole_rows

Progress = Callable[[int, int], None]
"""Told how many bytes were looked at, and of how many."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Samples ``[start, stop)`` that were acknowledged and cannot be read back, and why."""

    start: int
    stop: int
    why: str


@dataclass(frozen=True)
class SegmentReport:
    """What is whole of one segment.

    Attributes
    ----------
    name : str
        The stream.
    number : int
        Which segment of it.
    start, acknowledged : int
        Absolute indices between which samples were acknowledged.
    written : int
        Absolute index up to which samples are on disk; beyond ``acknowledged`` where the recorder was killed.
    damaged : tuple of Damage
        What is lost of the acknowledged samples, in order; all others are whole.
    problems : tuple of str
        What is wrong with other files of the segment; `recover` mends it.
    """

    name: str
    number: int
    start: int
    acknowledged: int
    written: int
    damaged: tuple[Damage, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether all of it is whole."""
        return not self.damaged and not self.problems

    @property
    def n_damaged(self) -> int:
        """Samples that are lost."""
        return sum(damage.stop - damage.start for damage in self.damaged)

    def __str__(self) -> str:
        where = f"{self.name}, segment {self.number}"
        lines = [f"{where}: {self.acknowledged - self.start} samples, {self.n_damaged or 'none'} damaged"]
        lines += [f"  damaged: [{d.start}, {d.stop}), {d.why}" for d in self.damaged]
        lines += [f"  {problem}" for problem in self.problems]
        if self.written > self.acknowledged:
            lines.append(
                f"  {self.written - self.acknowledged} more were written and not acknowledged: "
                "`recover` adds them"
            )
        return "\n".join(lines)


@dataclass(frozen=True)
class RunReport:
    """What is whole of a run.

    Attributes
    ----------
    path : Path
        The run folder.
    state : str
        ``recording`` (and nobody is at it: the recorder was killed), ``stopped``, ``recovered``; or
        ``being recorded``.
    segments : tuple of SegmentReport
        In the order of ``run.json``.
    problems : tuple of str
        What is wrong with the files of the run as a whole.
    """

    path: Path
    state: str
    segments: tuple[SegmentReport, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether all that was acknowledged is whole."""
        return not self.problems and all(segment.ok for segment in self.segments)

    def __str__(self) -> str:
        killed = self.state == "recording"
        state = "its recorder was killed, or could not finish it" if killed else self.state
        lines = [f"{self.path} ({state}): {'all is whole' if self.ok else 'damaged'}"]
        lines += [f"  {problem}" for problem in self.problems]
        lines += [str(segment) for segment in self.segments]
        if self.state != "being recorded" and (not self.ok or killed):
            lines.append(f"`pyacq-lab runs recover {self.path}` mends what can be mended")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def verify(path: str | Path, progress: Progress | None = None) -> RunReport:
    """Check that all that was acknowledged of a run can be read back. Nothing is changed.

    Parameters
    ----------
    path : str or Path
        The run folder; one that is being recorded is checked as far as it was acknowledged.
    progress : callable, optional
        Called with the bytes looked at so far and of all.

    Raises
    ------
    RecordingError
        This is no run folder.
    """
    folder = Path(path).expanduser().absolute()
    is_live = is_locked(folder)
    manifest, problems = find_manifest(folder, is_live=is_live)
    counter = _Counter(progress, sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()))
    was_killed = manifest.state == "recording" and not is_live
    segments = tuple(
        examine(folder, name, number, entry, counter.add, was_killed)
        for name, stream in manifest.streams.items()
        for number, entry in enumerate(stream.segments)
    )
    problems += [problem for path in line_files(folder) if (problem := half_lines(path))]
    counter.finish()
    state = "being recorded" if is_live else manifest.state
    return RunReport(folder, state, segments, tuple(problems))


def line_files(folder: Path) -> list[Path]:
    """Tables of the run as a whole that only grow: notes, clocks."""
    return sorted(folder.glob("*.jsonl"))


def half_lines(path: Path) -> str:
    """What is wrong with a table; empty where nothing is."""
    size = path.stat().st_size  # before it is read: others may be adding to it
    _, problem, nbytes = whole_lines(path, dict[str, Any])
    excess = size - nbytes
    return (
        f"{path.name} has {excess} bytes after its last whole line {problem}".rstrip() if excess > 0 else ""
    )


def find_manifest(folder: Path, *, is_live: bool = False) -> tuple[Manifest, list[str]]:
    """What is in a run folder, from ``run.json``, or where that is damaged from what else there is.

    Where its recorder was killed, with the segments that it had just begun.

    Raises
    ------
    RecordingError
        This is no run folder.
    """
    try:
        manifest = read_manifest(folder)
        if manifest.state == "recording" and not is_live:
            add_unlisted(folder, manifest)
        return manifest, [
            problem for stream in manifest.streams.values() for problem in _relaid(folder, stream)
        ]
    except RecordingError as error:
        problems = [str(error)]
    try:
        manifest = read_manifest(folder, BACKUP)
    except RecordingError as error:
        manifest = _rebuilt(folder, error)
    add_unlisted(folder, manifest)
    for entry in manifest.streams.values():
        for segment in entry.segments:
            lines = journal_of(folder, segment).lines
            written = segment.start + rows_on_disk(folder, segment, lines)
            segment.acknowledged = max(segment.acknowledged, written)
            segment.gaps = gaps_of(segment, lines)
    return manifest, problems


def _relaid(folder: Path, stream: StreamEntry) -> Iterator[str]:
    """Correct how samples lie where ``run.json`` is alone with what it says; tells where it was.

    A bit that flipped in it may leave good JSON, of which every sample would be read wrongly.
    """
    for entry in stream.segments:
        lines = journal_of(folder, entry).lines
        begun = lines[0].entry if lines and isinstance(lines[0], SegmentLine) else entry
        is_wrong = begun.kind == "array" and _lie_of(begun) != _lie_of(entry)
        if is_wrong and not _zarr_problems(folder, begun):
            yield f"{folder / entry.folder}: its journal and its zarr.json say otherwise how samples lie"
            entry.kind, entry.spec, entry.compression = begun.kind, begun.spec, begun.compression
            entry.chunk_rows, entry.shard_chunks = begun.chunk_rows, begun.shard_chunks


def _lie_of(entry: SegmentEntry) -> tuple[object, ...]:
    spec = entry.spec
    return entry.kind, spec.dtype, spec.shape, entry.chunk_rows, entry.shard_chunks, entry.compression


def _rebuilt(folder: Path, error: RecordingError) -> Manifest:
    """What the run folder's ``zarr.json`` says."""
    try:
        facts: dict[str, Any] = json.loads((folder / "zarr.json").read_bytes())["attributes"]
        return Manifest(
            started_ns=facts["started_ns"], software=facts["software"], host=facts["host"], streams={}
        )
    except (OSError, ValueError, KeyError, TypeError):
        raise RecordingError(f"{folder} is not a run folder, or nothing is left of it: {error}") from error


def examine(
    folder: Path,
    name: str,
    number: int,
    entry: SegmentEntry,
    counted: Counted = ignore,
    may_be_ahead: bool = False,
) -> SegmentReport:
    """Check one segment; ``may_be_ahead`` of what ``run.json`` says where its recorder was killed."""
    lines, problem, is_whole = journal_of(folder, entry)
    problems = [f"journal.jsonl is damaged, {problem}"] if problem else []
    known = [(line.start, line.stop) for line in lines if isinstance(line, GapLine)]
    # One that was being written when the recorder was killed is longer in the journal.
    lacking = [gap for gap in entry.gaps if any(uncovered(gap.start, gap.stop, known))]
    if not lines and entry.rows:
        problems.append("journal.jsonl is missing or empty")
    elif lacking and not problem:
        problems.append(f"journal.jsonl lacks {len(lacking)} gap(s) that run.json knows")
    written = entry.acknowledged
    if may_be_ahead and is_whole:
        written = max(written, entry.start + rows_on_disk(folder, entry, lines))
    if entry.kind == "array":
        problems += _zarr_problems(folder, entry)
    damaged = _damages(entry, whole_rows(folder, entry, counted))
    return SegmentReport(
        name, number, entry.start, entry.acknowledged, written, tuple(damaged), tuple(problems)
    )


def _damages(entry: SegmentEntry, found: Found) -> Iterator[Damage]:
    """What was acknowledged, and is neither whole nor in a gap."""
    covered = [(a + entry.start, b + entry.start) for a, b in found.whole]
    covered += [(gap.start, gap.stop) for gap in entry.gaps]
    edges = {entry.start + edge for flaw in found.flaws for edge in (flaw.start, flaw.stop)}
    for start, stop in uncovered(entry.start, entry.acknowledged, covered):
        cuts = [start, *sorted(edge for edge in edges if start < edge < stop), stop]
        for a, b in pairwise(cuts):
            why = [f.why for f in found.flaws if f.start <= a - entry.start < f.stop]
            yield Damage(a, b, why[0] if why else "the samples are not there")


def _zarr_problems(folder: Path, entry: SegmentEntry) -> list[str]:
    try:
        found = json.loads((folder / entry.folder / "zarr.json").read_bytes())
        wanted = entry.layout.metadata(found["shape"][0])
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        return [f"zarr.json cannot be read: {error}"]
    return [] if found == json.loads(json.dumps(wanted)) else ["zarr.json is not that of this array"]


class _Counter:
    """Adds up bytes for a `Progress`."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    def add(self, nbytes: int) -> None:
        """So many more were looked at."""
        self._done = min(self._done + nbytes, self._total)
        if self._progress is not None:
            self._progress(self._done, self._total)

    def finish(self) -> None:
        """All were."""
        self.add(self._total)
