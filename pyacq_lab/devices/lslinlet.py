"""A stream of the Lab Streaming Layer (https://labstreaminglayer.org) as a device."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from pyacq_lab.devices.lslclock import NS_PER_S, LslClock, load_lsl
from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Reading
from pyacq_lab.model.events import Event, event_array, event_spec
from pyacq_lab.model.roles import Source
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec

_DTYPES = ("", "<f4", "<f8", "", "<i4", "<i2", "i1", "<i8")
"""By LSL's number of a channel format; empty where it is text or undefined."""

_MAX_SAMPLES = 4096

_LOOK_FURTHER = 0.7
"""How long a second stream that fits is looked for, s: LSL asks twice in that time.

Without that it were a matter of chance which one is taken.
"""


class LSLInletSettings(Settings):
    """Settings of `LSLInlet`: name, type or source_id find the stream."""

    name: str = setting("", description="name of the LSL stream; empty: any")
    type: str = setting("", description="type of the LSL stream, such as 'EEG' or 'Markers'; empty: any")
    source_id: str = setting("", description="source id of the LSL stream; empty: any")
    sample_rate: float | None = setting(
        None, gt=0, unit="Hz", description="rate of a stream that says none; None: the stream's own"
    )
    resolve_timeout: float = setting(
        5.0, gt=0, le=60, unit="s", description="how long the stream is looked for"
    )
    recover: bool = setting(
        False, description="whether to wait for a source that was lost, instead of being faulted"
    )
    gap: float = setting(
        0.25, gt=0, unit="s", description="by how much a time stamp must be late to tell of lost samples"
    )
    max_buffer: int = setting(360, ge=1, unit="s", description="what LSL keeps for a slow reader")

    @model_validator(mode="after")
    def _something_to_find(self) -> Self:
        if not (self.name or self.type or self.source_id):
            raise ValueError("give name, type or source_id of the LSL stream")
        return self


class LSLInlet(Source):
    """A stream of the Lab Streaming Layer, output `out`.

    Numbers come in their own data type, with the channels' names and units where the stream says them.
    Streams of text, and irregular streams of one column of integers, are events. Other irregular streams
    need a nominal ``sample_rate``.

    Time stamps are brought to this machine's clock as LSL measures the other one's, and from LSL's clock to
    the host's; the uncertainty is half of the round trip that LSL measured, and that of the second step.
    Samples that never came, because a source was lost for a while or LSL's buffer ran over, are counted by
    the time stamps.
    """

    settings_type = LSLInletSettings
    settings: LSLInletSettings

    def __init__(self, settings: LSLInletSettings) -> None:
        super().__init__(settings)
        self._pylsl = load_lsl("LSLInlet")
        self._inlet: Any = None
        self._spec: StreamSpec | None = None
        self._forget()

    def describe(self) -> Mapping[str, StreamSpec]:
        """One output, as the stream describes itself; ConfigurationError where it is not found."""
        if self._spec is None:
            inlet = self._connect(look_further=_LOOK_FURTHER)
            try:
                self._spec = self._spec_of(inlet.info(self.settings.resolve_timeout))
            except (TimeoutError, self._pylsl.util.LostError) as error:
                raise ConfigurationError(f"{self._wanted()} does not answer: {error}") from error
            finally:
                inlet.close_stream()
        return {"out": self._spec}

    def open(self) -> None:
        """Find the stream again, and begin to take from it."""
        self._forget()
        inlet = self._connect()
        try:
            spec = self._spec_of(inlet.info(self.settings.resolve_timeout))
            if self._spec is not None and spec != self._spec:
                raise ConnectionError(
                    f"{self._wanted()} is another one now ({spec.differences(self._spec)}): "
                    "configure the node again"
                )
            self._clock = LslClock(self._pylsl, self.clock)
            inlet.open_stream(self.settings.resolve_timeout)
            self._correct(inlet, self.settings.resolve_timeout)
        except BaseException:
            inlet.close_stream()
            raise
        self._inlet = inlet

    def read(self, timeout: float) -> Reading | None:
        """Give what has come."""
        is_text = self._is_text
        try:
            samples, stamps = self._inlet.pull_chunk(
                timeout, _MAX_SAMPLES, min_samples=1, as_numpy=not is_text
            )
            if not len(stamps):
                return None
            self._correct(self._inlet, 0.0)
        except self._pylsl.util.LostError:
            raise ConnectionError(f"{self._wanted()} is lost: its source is gone") from None
        times = [self._clock.to_host(stamp + self._correction) for stamp in (stamps[0], stamps[-1])]
        if self._is_event:
            all_times = [self._clock.to_host(stamp + self._correction) for stamp in stamps]
            return self._reading(_events(samples, all_times, is_text), 0, all_times[0])
        return self._reading(np.ascontiguousarray(samples), self._lost(stamps), times[0])

    def close(self) -> None:
        """Disconnect."""
        inlet, self._inlet = self._inlet, None
        if inlet is not None:
            inlet.close_stream()

    # ---

    def _forget(self) -> None:
        self._expected: float | None = None
        self._last_ns = 0
        self._correction = 0.0
        self._correction_ns = 0

    def _wanted(self) -> str:
        s = self.settings
        parts = [f"{key}={getattr(s, key)!r}" for key in ("name", "type", "source_id") if getattr(s, key)]
        return f"LSL stream with {', '.join(parts)}"

    def _connect(self, look_further: float = 0.0) -> Any:
        """Find the stream, and look whether there is another one for some seconds more."""
        s = self.settings
        conditions = [
            f"{key}={_quoted(value)}" for key in ("name", "type", "source_id") if (value := getattr(s, key))
        ]
        found = self._pylsl.resolve_bypred(" and ".join(conditions), 1, s.resolve_timeout)
        if found and look_further:
            found = self._pylsl.resolve_bypred(" and ".join(conditions), 2, look_further) or found
        if not found:
            others = sorted({i.name() for i in self._pylsl.resolve_bypred("starts-with(name, '')", 999, 0.5)})
            raise ConfigurationError(
                f"no {self._wanted()} within {s.resolve_timeout:g} s; "
                f"there are: {', '.join(others) or 'none'}"
            )
        if len({info.uid() for info in found}) > 1:
            who = ", ".join(f"{i.name()!r} of {i.hostname()} (source_id {i.source_id()!r})" for i in found)
            raise ConfigurationError(f"{len(found)} streams are an {self._wanted()}: {who}; say more of it")
        return self._pylsl.StreamInlet(found[0], max_buflen=s.max_buffer, recover=s.recover)

    def _spec_of(self, info: Any) -> StreamSpec:
        form, n, rate = info.channel_format(), info.channel_count(), info.nominal_srate()
        self._is_text = form == self._pylsl.cf_string
        is_integer = not self._is_text and np.dtype(_DTYPES[form]).kind == "i"
        self._is_event = self._is_text or (rate == 0 and n == 1 and is_integer)
        rate = rate or self.settings.sample_rate or (1.0 if self._is_event else 0.0)
        if self._is_text and n != 1:
            raise ConfigurationError(f"{self._wanted()} has {n} columns of text: wanted one")
        if not rate:
            raise ConfigurationError(f"{self._wanted()} says no sample rate: give sample_rate, Hz")
        if self._is_event:
            return event_spec(rate)
        names, units = info.get_channel_labels() or [], set(info.get_channel_units() or [])
        return StreamSpec.of(
            _DTYPES[form],
            shape=(-1, n),
            sample_rate=rate,
            channel_names=tuple(names) if len(names) == n and all(names) else (),
            units=(units.pop() or "") if len(units) == 1 else "",
        )

    def _correct(self, inlet: Any, timeout: float) -> None:
        """Ask how the source's clock stands to ours; LSL measures it in the background."""
        code, remote, uncertainty = ctypes.c_int(), ctypes.c_double(), ctypes.c_double()
        lib = self._pylsl.lib.lib
        lib.lsl_time_correction_ex.restype = ctypes.c_double
        value = lib.lsl_time_correction_ex(
            inlet.obj,
            ctypes.byref(remote),
            ctypes.byref(uncertainty),
            ctypes.c_double(timeout),
            ctypes.byref(code),
        )
        if code.value == 0:
            self._correction = value
            self._correction_ns = round(uncertainty.value * NS_PER_S / 2)
        elif timeout:
            self._pylsl.util.handle_error(code)

    def _lost(self, stamps: npt.NDArray[np.float64]) -> int:
        rate = self._rate
        late = 0.0 if self._expected is None else float(stamps[0]) - self._expected
        self._expected = float(stamps[-1]) + 1 / rate
        return round(late * rate) if late > self.settings.gap else 0

    @property
    def _rate(self) -> float:
        return 1.0 if self._spec is None else self._spec.sample_rate

    def _reading(self, data: npt.NDArray[Any], lost: int, time_ns: int) -> Reading:
        # A better estimate of the other clock may move the stamps back a little; time does not.
        self._last_ns = max(self._last_ns, time_ns)
        return Reading(data, lost, self._last_ns, self._clock.uncertainty_ns + self._correction_ns)


def _events(samples: Any, times: list[int], is_text: bool) -> npt.NDArray[Any]:
    rows = zip(times, samples, strict=True)
    if is_text:
        return event_array(Event(time, label=row[0]) for time, row in rows)
    return event_array(Event(time, code=int(row[0])) for time, row in rows)


def _quoted(text: str) -> str:
    """Literal of XPath 1.0, which knows no escapes."""
    if "'" not in text:
        return f"'{text}'"
    if '"' not in text:
        return f'"{text}"'
    raise ConfigurationError(f"{text!r} has both kinds of quotes: LSL cannot look for that")
