"""EDF+ and BDF+ files: signals of any rates beside each other, events as annotations.

They begin with the first sample or event. Such a file has samples at all of its times; EDF+D files may have
breaks, but readers refuse them (EDFlib) or join over them (edfio). So where a stream has no sample, in a gap,
before its first and after its last one, the lowest digital value is written, and an annotation
``BAD_ACQ_SKIP ecg: overrun`` says so, with the stream's name and the reason. MNE leaves out what is so
annotated, and `Replay` makes a gap of it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.recording.export.edf_digits import Digits, digits_of
from pyacq_lab.recording.export.edf_file import (
    TICKS,
    Annotation,
    Channel,
    EdfFile,
    ascii_text,
    exact_rate,
    missing_text,
    record_duration,
)
from pyacq_lab.recording.export.plan import (
    BLOCK_NBYTES,
    Part,
    Plan,
    tell,
    text_of,
    text_of_note,
    timed_events,
    warn_lost_fields,
    warn_untimed,
)


def write(plan: Plan, path: Path) -> None:
    """Write an EDF+ file; see `export`."""
    _write(plan, path, 2)


def write_bdf(plan: Plan, path: Path) -> None:
    """Write a BDF+ file; see `export`."""
    _write(plan, path, 3)


def _write(plan: Plan, path: Path, nbytes: int) -> None:
    signals = _checked(plan)
    events = {part.title: timed_events(part) for part in plan.parts if part.is_events}
    for part in plan.parts:
        warn_lost_fields(part, "EDF") if part.is_events else warn_untimed(part)
    times = [part.first_time for part in signals]
    times += [part.time_of(event) for part in plan.parts if part.is_events for event in events[part.title]]
    start = (plan.manifest.started_ns + round(min(times) * 1e9)) * TICKS // 10**9
    begin = (start * (10**9 // TICKS) - plan.manifest.started_ns) / 1e9
    rates = [exact_rate(part.signal.sample_rate, part.title) for part in signals]
    duration = record_duration(
        [(rate, part.signal.spec.n_channels) for rate, part in zip(rates, signals, strict=True)], nbytes
    )
    tracks = [
        _Track(digits_of(part, nbytes), rate, int(rate * duration), begin)
        for part, rate in zip(signals, rates, strict=True)
    ]
    n_records = max(-(-track.stop // track.step) for track in tracks)
    notes = [note for track in tracks for note in track.missing(n_records)]
    for part in plan.parts:
        for event in events.get(part.title, ()):
            text = text_of(event) if len(events) == 1 else f"{part.title}: {text_of(event)}"
            lasts = round(event.duration / part.signal.sample_rate * TICKS)
            notes.append(Annotation(round((part.time_of(event) - begin) * TICKS), lasts, text))
        if part.is_events:
            plan.wrote(len(part.signal))
    notes += _notes_within(plan, begin, n_records * duration)
    named = zip(tracks, _labels(signals), strict=True)
    channels = [channel for track, labels in named for channel in track.channels(labels)]
    file = EdfFile(start, duration, n_records, channels, notes, nbytes, plan.run.path.name)
    with path.open("wb") as opened:
        opened.write(file.header)
        for block in _blocks(file, tracks, n_records, nbytes, plan.wrote):
            opened.write(block.tobytes())


def _checked(plan: Plan) -> list[Part]:
    numbers: dict[str, int] = {}
    for part in plan.parts:
        if numbers.setdefault(part.signal.name, part.number) != part.number:
            raise ConfigurationError(
                f"an EDF file holds one start of a stream, {part.signal.name!r} has several: "
                "choose with segment=i"
            )
        if not (part.is_events or part.is_table):
            raise ConfigurationError(
                f"EDF cannot hold {part.signal!r}: leave it out with streams=[...], or export to HDF5"
            )
    signals = [part for part in plan.parts if not part.is_events]
    if not signals:
        raise ConfigurationError("an EDF file of events only is none that its readers take: export to CSV")
    return signals


def _notes_within(plan: Plan, begin: float, duration: Fraction) -> Iterator[Annotation]:
    """Notes on the run that are about the time of the file."""
    found = [note for note in plan.notes if 0 <= note.time - begin <= duration]
    if n_lost := len(plan.notes) - len(found):
        tell(f"{n_lost} notes are left out: they are about times that the file does not have")
    for note in found:
        onset, lasts = round((note.time - begin) * TICKS), round(note.duration * TICKS)
        yield Annotation(onset, lasts, text_of_note(note))


def _labels(signals: list[Part]) -> list[list[str]]:
    """Names of channels in 16 characters of ASCII, each other than the rest."""
    wished = [list(part.signal.spec.names) for part in signals]
    if len({name for names in wished for name in names}) < sum(map(len, wished)):
        titles = [part.title for part in signals]
        wished = [[f"{title} {n}" for n in names] for title, names in zip(titles, wished, strict=True)]
    taken: set[str] = {"EDF Annotations", "BDF Annotations"}
    labels: list[list[str]] = []
    for part, names in zip(signals, wished, strict=True):
        mine: list[str] = []
        for name in names:
            label, count = ascii_text(name, 16), 1
            while label in taken:
                count += 1
                label = f"{ascii_text(name, 15 - len(str(count)))} {count}"
            taken.add(label)
            mine.append(label)
        if mine != list(part.signal.spec.names):
            tell(
                f"{part.title!r}: channel names in EDF are 16 characters of ASCII, all different; "
                f"they became {', '.join(mine[:4])}{', ...' if len(mine) > 4 else ''}"
            )
        labels.append(mine)
    return labels


class _Track:
    """One part, with its rows on the grid of the file."""

    def __init__(self, digits: Digits, rate: Fraction, step: int, begin: float) -> None:
        self.digits, self.step, self._rate = digits, step, rate
        self.part, self.signal = digits.part, digits.part.signal
        exact = (self.part.first_time - begin) * float(rate)
        self.first = round(exact)
        self.stop = self.first + len(self.signal)
        if (off := abs(exact - self.first) / float(rate)) > 1e-6:
            tell(
                f"{self.part.title!r}: its samples lie {off:.2g} s beside those of the file's grid, "
                "which is one for each rate"
            )

    def channels(self, labels: list[str]) -> Iterator[Channel]:
        digits = self.digits
        units = ascii_text(digits.units, 8)
        for label, physical in zip(labels, digits.physical, strict=True):
            yield Channel(label, self.part.title, units, physical, (digits.low, digits.high), self.step)

    def missing(self, n_records: int) -> Iterator[Annotation]:
        """Annotations for all that the file has no samples of."""
        back = self.first - self.signal.start
        gaps = [(gap.start + back, gap.stop + back, gap.reason or "gap") for gap in self.signal.gaps]
        whole = [(0, self.first, "not recorded"), *gaps, (self.stop, n_records * self.step, "not recorded")]
        for start, stop, reason in whole:
            if stop > start:
                onset, end = (round(row / self._rate * TICKS) for row in (start, stop))
                yield Annotation(onset, end - onset, missing_text(self.part.title, reason))

    def rows(self, start: int, stop: int) -> tuple[npt.NDArray[np.int32], int]:
        """Digital samples of rows of the file, and how many of them were recorded."""
        digits = self.digits
        found = np.full((stop - start, self.signal.spec.n_channels), digits.low, np.int32)
        a, b = (min(max(row, self.first), self.stop) for row in (start, stop))
        if a < b:
            back = self.signal.start - self.first
            found[a - start : b - start] = digits.between(a + back, b + back)
        return found, b - a


def _blocks(
    file: EdfFile, tracks: list[_Track], n_records: int, nbytes: int, wrote: Callable[[int], None]
) -> Iterator[npt.NDArray[np.void]]:
    at_once = max(1, BLOCK_NBYTES // file.record.itemsize)
    for start in range(0, n_records, at_once):
        stop = min(n_records, start + at_once)
        block = np.zeros(stop - start, file.record)
        block["text"] = [file.text(i) for i in range(start, stop)]
        number = n_samples = 0
        for track in tracks:
            rows, n = track.rows(start * track.step, stop * track.step)
            n_samples += n
            for column in rows.T:
                samples = np.ascontiguousarray(column).reshape(stop - start, track.step)
                if nbytes == 2:
                    block[str(number)] = samples
                else:
                    little = samples.astype("<i4").view("u1").reshape(*samples.shape, 4)
                    block[str(number)] = little[..., :3]
                number += 1
        yield block
        wrote(n_samples)
