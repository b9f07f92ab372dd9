"""What every source must do."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from pyacq_lab.errors import EndOfStream
from pyacq_lab.model.chunk import Reading
from pyacq_lab.model.roles import Clock, Source
from pyacq_lab.testing.checks import check, check_samples
from pyacq_lab.testing.clock import NS_PER_S, ManualClock


class SourceContract:
    """Base of tests for a source; subclass it and define `make`.

    Attributes
    ----------
    seconds : float
        How long the source runs in each test, s of its clock.
    timeout : float
        What its reads are given, s.
    slack : float
        By how much a read may exceed its timeout, s.
    is_paced : bool
        Whether it gives ``sample_rate`` samples per second of its clock; False for a source that is as
        fast as its reader.
    n_restarts : int
        How often it is opened and closed; fewer for hardware that takes its time.

    Examples
    --------
    >>> class TestThermometer(SourceContract):
    ...     def make(self):
    ...         return Thermometer(ThermometerSettings.checked(port="/dev/ttyUSB0"))
    """

    seconds: float = 1.0
    timeout: float = 0.05
    slack: float = 0.5
    is_paced: bool = True
    n_restarts: int = 100

    def make(self) -> Source:
        """Make a fresh source, not opened; for hardware, override `make_clock` too."""
        raise NotImplementedError("define make(self) -> Source in your test class")

    def make_clock(self) -> Clock:
        """Make the source's clock: one turned by hand, unless the source has a pace of its own."""
        return ManualClock()

    def ready(self) -> Source:
        """Make a source and give it its clock, as a node does."""
        source = self.make()
        source.clock = self.make_clock()
        return source

    def test_describe_is_stable(self) -> None:
        """The description is the same before, while and after it acquires."""
        source = self.ready()
        specs = dict(source.describe())
        check(bool(specs), "describe() names no output")
        source.open()
        try:
            self._collect(source, self.seconds / 4)
            check(dict(source.describe()) == specs, "describe() changed while the source was open")
        finally:
            source.close()
        check(dict(source.describe()) == specs, "describe() changed when the source was closed")
        check(dict(self.ready().describe()) == specs, "the same settings gave another description")

    def test_readings_are_as_described(self) -> None:
        """Outputs, data types, shapes and sample times are those announced."""
        source = self.ready()
        specs = source.describe()
        source.open()
        try:
            readings = self._collect(source, self.seconds)
        finally:
            source.close()
        check(any(len(r.data) for r in readings[next(iter(specs))]), "no sample came")
        for name, spec in specs.items():
            for reading in readings[name]:
                check_samples(reading.data, spec, f"output {name!r}")
                check(reading.lost >= 0, f"output {name!r}: lost={reading.lost}")
            times = [r.time_ns for r in readings[name] if r.time_ns is not None and len(r.data)]
            check(times == sorted(times), f"output {name!r}: sample times step back")

    def test_every_sample_is_given_or_counted_as_lost(self) -> None:
        """Samples given and samples lost add up to the time that passed."""
        source = self.ready()
        specs = source.describe()
        source.open()
        begin = source.clock.now_ns()
        try:
            readings = self._collect(source, self.seconds)
            passed = (source.clock.now_ns() - begin) / NS_PER_S
        finally:
            source.close()
        totals = {n: sum(len(r.data) + r.lost for r in readings[n]) for n in specs}
        for name, spec in specs.items():
            if not self.is_paced or spec.streamtype == "event":
                continue  # events come when they come
            largest = max((len(r.data) + r.lost for r in readings[name]), default=0)
            wanted = passed * spec.sample_rate
            check(
                abs(totals[name] - wanted) <= 2 * largest + 2,
                f"output {name!r}: {totals[name]} samples given or counted as lost in {passed:.3f} s; "
                f"{wanted:.0f} make {spec.sample_rate} Hz",
            )

    def test_it_opens_and_closes_many_times(self) -> None:
        """Closing twice or before opening is harmless, and each opening starts afresh."""
        source = self.ready()
        name = next(iter(source.describe()))
        source.close()
        for _ in range(self.n_restarts):
            source.open()
            came = self._first(source, name)
            source.close()
            source.close()
            check(came, "no sample came after it was opened again")

    def test_read_honours_its_timeout(self) -> None:
        """No read lasts much longer than it was told, so that a stop is heard."""
        source = self.ready()
        source.describe()
        source.open()
        try:
            for timeout in (0.0, self.timeout / 10, self.timeout):
                before, real_before = source.clock.now_ns(), time.monotonic()
                with suppress(EndOfStream):
                    self._read(source, timeout)
                by_clock = (source.clock.now_ns() - before) / NS_PER_S
                for took in (by_clock, time.monotonic() - real_before):
                    check(
                        took <= timeout + self.slack,
                        f"a read with a timeout of {timeout} s lasted {took:.3f} s",
                    )
        finally:
            source.close()

    def _first(self, source: Source, name: str) -> bool:
        """Read until a sample of an output comes; False where none does."""
        until = source.clock.now_ns() + round(self.seconds * NS_PER_S)
        limit = time.monotonic() + self.seconds + 10.0
        while source.clock.now_ns() < until and time.monotonic() < limit:
            before = source.clock.now_ns()
            try:
                reading = self._read(source, self.timeout).get(name)
            except EndOfStream:
                return False
            if reading is not None and len(reading.data):
                return True
            if isinstance(source.clock, ManualClock) and source.clock.now_ns() == before:
                source.clock.advance(self.timeout / 10)
        return False

    def _collect(self, source: Source, seconds: float) -> dict[str, list[Reading]]:
        """Readings by output, for a time of the source's clock or to its end."""
        readings: dict[str, list[Reading]] = {name: [] for name in source.describe()}
        until = source.clock.now_ns() + round(seconds * NS_PER_S)
        limit = time.monotonic() + seconds + 10.0
        while source.clock.now_ns() < until and time.monotonic() < limit:
            before = source.clock.now_ns()
            try:
                got = self._read(source, self.timeout)
            except EndOfStream:
                break
            for name, reading in got.items():
                check(name in readings, f"read() gave {name!r}, which describe() does not name")
                readings[name].append(reading)
            clock = source.clock
            if isinstance(clock, ManualClock) and clock.now_ns() == before:
                clock.advance(self.timeout / 10)  # it did not wait: a source without a pace, or late
        return readings

    @staticmethod
    def _read(source: Source, timeout: float) -> Mapping[str, Reading]:
        got: Any = source.read(timeout)
        if got is None:
            return {}
        if not isinstance(got, Mapping):
            (only,) = source.describe()
            got = {only: got}
        return {
            n: r if isinstance(r, Reading) else Reading(np.asarray(r))
            for n, r in got.items()
            if r is not None
        }
