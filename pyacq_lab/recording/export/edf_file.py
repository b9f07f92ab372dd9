"""Bytes of EDF+ and BDF+ files (https://www.edfplus.info/specs/edfplus.html): header, records, annotations.

Written here, and read back in the tests by libraries. Of these pyedflib writes annotations to 0.1 ms only,
cuts them after 40 bytes, within a character too, and drops what it has no room for; edfio wants all samples
in memory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction

import numpy as np

from pyacq_lab.errors import ConfigurationError

TICKS = 10**7
"""In a second: times are written to 100 ns, as precise as readers take them."""

RECORD_NBYTES = 61440
"""Bytes of a record at most, as the specification of EDF recommends, where the rates allow it."""

_STREAM = "pyacq_lab stream: "
_BAD = "BAD_ACQ_SKIP"  # as MNE-Python knows it
_RECORD_LIMIT = 10 * 2**20  # what EDFlib reads, and with it most readers
_MAX_SIGNALS = 4095  # as above, less the annotations
_MAX_RECORDS = 10**8 - 1
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]


@dataclass(frozen=True)
class Channel:
    """One signal of the file.

    Attributes
    ----------
    label, stream, units : str
        What it is called; of which stream it is; units of its physical values.
    physical : tuple of str
        Physical values of the two `digital` ones, as the header has them: `number` makes them.
    digital : tuple of int
        Least and largest digital value.
    samples : int
        Samples in a record.
    """

    label: str
    stream: str
    units: str
    physical: tuple[str, str]
    digital: tuple[int, int]
    samples: int


@dataclass(frozen=True, order=True)
class Annotation:
    """Text at a time: ticks since the file's start, and how many it lasts."""

    onset: int
    duration: int
    text: str


class EdfFile:
    """Layout of one file; pure bytes.

    Parameters
    ----------
    start_ticks : int
        Start of the file, ticks since 1970 UTC.
    duration : Fraction
        Length of a record, s; as `record_duration` gives it.
    n_records : int
        How many there are.
    channels : sequence of Channel
        Signals.
    annotations : sequence of Annotation
        In any order.
    sample_nbytes : int
        2 for EDF, 3 for BDF.
    comment : str
        One word more about the recording.
    """

    def __init__(
        self,
        start_ticks: int,
        duration: Fraction,
        n_records: int,
        channels: Sequence[Channel],
        annotations: Sequence[Annotation],
        sample_nbytes: int,
        comment: str,
    ) -> None:
        if n_records > _MAX_RECORDS:
            raise ConfigurationError(f"{n_records} records are more than EDF counts: export fewer streams")
        self._second, self._subsecond = divmod(start_ticks, TICKS)
        self._duration, self._n_records = duration, n_records
        self._channels, self._nbytes = channels, sample_nbytes
        self._comment = ascii_text(comment, 24).replace(" ", "_")
        self._notes = self._spread(sorted(annotations))
        longest = len(self._time_keeping(n_records)) + 8 + max(map(len, self._notes.values()), default=0)
        self._n_text = -(-longest // sample_nbytes)
        one = np.dtype("<i2") if sample_nbytes == 2 else np.dtype(("u1", (3,)))
        self.record = np.dtype(
            [
                *((str(i), one, (channel.samples,)) for i, channel in enumerate(channels)),
                ("text", f"S{self._n_text * sample_nbytes}"),
            ]
        )
        """Data type of a record: a field for each channel by its number, and ``text``."""

    @property
    def header(self) -> bytes:
        """All before the first record."""
        kind = "EDF" if self._nbytes == 2 else "BDF"
        start = datetime.fromtimestamp(self._second, UTC)
        if not 1985 <= start.year <= 2084:
            raise ConfigurationError(f"the recording began in {start.year}, and EDF knows 1985 to 2084 only")
        day = f"{start.day:02}-{_MONTHS[start.month - 1]}-{start.year}"
        n = len(self._channels) + 1
        head = [
            b"0".ljust(8) if kind == "EDF" else b"\xffBIOSEMI",
            _field("X X X X", 80),
            _field(f"Startdate {day} X X pyacq_lab {self._comment}".rstrip(), 80),
            _field(f"{start:%d.%m.%y%H.%M.%S}", 16),
            _field(str(256 * (n + 1)), 8),
            _field(f"{kind}+C", 44),
            _field(str(self._n_records), 8),
            _field(decimal(self._duration), 8),
            _field(str(n), 4),
        ]
        reach = 256**self._nbytes // 2
        notes = Channel(f"{kind} Annotations", "", "", ("-1", "1"), (-reach, reach - 1), self._n_text)
        every = [*self._channels, notes]
        head += [_field(c.label, 16) for c in every]
        head += [_field(stream_text(c.stream) if c.stream else "", 80) for c in every]
        head += [_field(c.units, 8) for c in every]
        for i in (0, 1):
            head += [_field(c.physical[i], 8) for c in every]
        for i in (0, 1):
            head += [_field(str(c.digital[i]), 8) for c in every]
        head += [b" " * 80] * n  # prefiltering
        head += [_field(str(c.samples), 8) for c in every]
        head += [b" " * 32] * n
        return b"".join(head)

    def text(self, record: int) -> bytes:
        """Field ``text`` of a record: when it begins, and annotations, of whatever time."""
        return self._time_keeping(record) + self._notes.get(record, b"")

    def _time_keeping(self, record: int) -> bytes:
        at = Fraction(self._subsecond, TICKS) + record * self._duration
        return f"+{decimal(at)}\x14\x14\x00".encode()

    def _spread(self, annotations: Sequence[Annotation]) -> dict[int, bytes]:
        """Annotations by record, of nearly the same length in each, as all have room for the longest."""
        texts = [_tal(self._subsecond + a.onset, a.duration, a.text) for a in annotations]
        room = max(map(len, texts), default=0) + -(-sum(map(len, texts)) // self._n_records)
        notes: dict[int, bytes] = {}
        record = 0
        for text in texts:
            if len(notes.get(record, b"")) + len(text) > room:
                record += 1
            notes[record] = notes.get(record, b"") + text
        return notes


def record_duration(rates: Sequence[tuple[Fraction, int]], sample_nbytes: int) -> Fraction:
    """Length of records, s: a whole number of samples of every rate, and no more than 1 s if it can be.

    Parameters
    ----------
    rates : sequence of (Fraction, int)
        Rates, Hz, and how many channels have it.
    sample_nbytes : int
        2 for EDF, 3 for BDF.

    Raises
    ------
    ConfigurationError
        There is none that a header can state, or it were too long.
    """
    # Least common multiple of the sample intervals, and of the 10 us that a header states.
    fractions = [*(rate for rate, _ in rates), Fraction(100_000)]
    least = Fraction(
        math.lcm(*(f.denominator for f in fractions)), math.gcd(*(f.numerator for f in fractions))
    )
    listed = ", ".join(f"{float(rate):g} Hz" for rate, _ in rates)
    if least > 60:
        raise ConfigurationError(
            f"no record of EDF, 60 s at most, holds whole samples of {listed}: "
            "export streams one by one, or to HDF5"
        )
    if sum(n for _, n in rates) > _MAX_SIGNALS:
        raise ConfigurationError(f"more than {_MAX_SIGNALS} channels: export fewer streams, or to HDF5")
    nbytes = sample_nbytes * sum(rate * n for rate, n in rates) * least
    if nbytes > _RECORD_LIMIT:
        raise ConfigurationError(
            f"a record that holds whole samples of {listed} has {float(nbytes) / 1e6:.1f} MB, and readers "
            "of EDF refuse more than 10: export streams one by one, or to HDF5"
        )
    times = min(RECORD_NBYTES // nbytes, 1 // least)
    # EDFlib reads no record shorter than 1 ms.
    return least * max(1, times, -(-Fraction(1, 1000) // least))


def exact_rate(rate: float, name: str) -> Fraction:
    """Make a fraction of a rate that is just this float. Raises ConfigurationError where none is simple."""
    found = Fraction(rate).limit_denominator(10_000)
    if float(found) != rate:
        raise ConfigurationError(f"{name!r} has {rate!r} Hz, which EDF cannot state exactly: export to HDF5")
    return found


def number(value: float, rounding: int = 0) -> str:
    """Make text of a number in the 8 characters that a header has for it.

    Parameters
    ----------
    value : float
        The number.
    rounding : int
        1: not less than it; -1: not more; 0: nearest.

    Raises
    ------
    ConfigurationError
        It is too large.
    """
    for digits in range(7, -1, -1):
        step = 10**digits
        scaled = Fraction(value) * step
        whole = math.ceil(scaled) if rounding > 0 else math.floor(scaled) if rounding < 0 else round(scaled)
        text = decimal(Fraction(whole, step))
        if len(text) <= 8:
            return text
    raise ConfigurationError(
        f"EDF has 8 characters for a number, too few for {value:g}: give other units with Rescale, "
        "or export to HDF5"
    )


def decimal(value: Fraction) -> str:
    """Digits of a number that has no more than seven behind its point."""
    sign, whole = ("-" if value < 0 else ""), abs(value)
    return sign + f"{math.floor(whole)}.{int(whole % 1 * TICKS):07}".rstrip("0").rstrip(".")


def ascii_text(text: str, length: int) -> str:
    """Text as a header can have it: printable ASCII, so long at most."""
    text = re.sub("[µμ]", "u", text).replace("Ω", "Ohm").replace("°", "deg")
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:length].strip()


def stream_text(name: str) -> str:
    """Say of which stream a signal is, in the field for its transducer."""
    return _STREAM + ascii_text(name, 80 - len(_STREAM))


def stream_in(text: str) -> str:
    """Stream's name in what `stream_text` gave; empty where that did not."""
    return text.removeprefix(_STREAM).strip() if text.startswith(_STREAM) else ""


def missing_text(name: str, reason: str) -> str:
    """Text of an annotation where a stream has no samples."""
    return f"{_BAD} {stream_in(stream_text(name))}: {reason}"


def is_missing(text: str, name: str) -> bool:
    """Whether an annotation is one of `missing_text`, for the stream of this name."""
    return bool(name) and text.startswith(f"{_BAD} {name}: ")


def _tal(onset: int, duration: int, text: str) -> bytes:
    # Also where it is 0: Neo shows no annotation without a duration.
    lasts = f"\x15{decimal(Fraction(duration, TICKS))}"
    shown = "".join(c if c.isprintable() else " " for c in text)
    sign = "" if onset < 0 else "+"
    return f"{sign}{decimal(Fraction(onset, TICKS))}{lasts}\x14{shown}\x14\x00".encode()


def _field(text: str, length: int) -> bytes:
    return ascii_text(text, length).encode().ljust(length)
