"""Several streams as one, sample by sample, by their times."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from pyacq_lab.errors import ConfigurationError, StreamMismatch
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.roles import Transform
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing.casting import fits_exactly
from pyacq_lab.processing.merging import (
    common_dtype,
    merged_names,
    merged_scaling,
    require_channels,
    require_same,
)
from pyacq_lab.processing.spans import NS_PER_S, part_of
from pyacq_lab.processing.timebase import TimeBase, Times
from pyacq_lab.processing.track import NEVER, Method, Track

logger = logging.getLogger(__name__)


class StreamAlignerSettings(Settings):
    """Settings of `StreamAligner`."""

    inputs: dict[str, Literal["reference", Method]] = setting(
        min_length=2,
        description="for each input, by its name, which value it has at the time of a sample of the first, "
        "the reference: that of its nearest or previous sample, or one on the line between two; such as "
        "{'eeg': 'reference', 'force': 'linear'}",
    )
    tolerance: float | None = setting(
        None,
        ge=0,
        unit="s",
        description="how far the nearest sample may lie; None: half a sample of its stream",
    )
    missing: Literal["gap", "fill"] = setting(
        "gap",
        description="where an input has no value for a sample of the reference: gap leaves the sample out; "
        "fill keeps it, with `fill_value` in that input's channels",
    )
    fill_value: float | None = setting(
        None, allow_inf_nan=True, description="what fills, raw; None: NaN, in streams of floats only"
    )
    latency: float = setting(
        1.0,
        gt=0,
        unit="s",
        description="how long a sample waits for inputs that lag behind the others, by their times",
    )
    jitter: float = setting(
        0.002,
        ge=0,
        unit="s",
        description="how far time stamps of chunks may be off before they are taken as they are",
    )
    physical: bool = setting(False, description="whether scale and offset are applied: the output is float64")

    @model_validator(mode="after")
    def _one_reference(self) -> Self:
        first, *others = self.inputs.values()
        if first != "reference" or "reference" in others:
            raise ValueError("inputs: the first one, and no other, is the 'reference'")
        return self


@dataclass(slots=True)
class _Waiting:
    """Samples of the reference, of which ``done`` have gone out; or a gap of it."""

    item: Chunk | Gap
    times: Times
    done: int = 0


class StreamAligner(Transform):
    """Merges streams by time: the reference's samples, with those of other inputs beside them.

    The inputs that the settings name, one output `out` with the channels of all, in order. It has the rate,
    indices, times and gaps of the first input, the reference; every other input gives the value that it has
    at the time of each of the reference's samples. Time is that of acquisition: the group delay of each input
    is taken off its time stamps. Streams of any rates go together; what is fast should be lowpass-filtered
    before it is aligned to what is slow.

    A value is that of the nearest sample (of two as near, the earlier one), that of the previous one, for one
    sample period where none follows, or linear between two that follow each other. Nothing is taken across a
    gap or from beyond the ends of a stream; samples that are left out for want of a value are a gap whose
    reason is ``unaligned``. NaN in the input are values like others.

    The clocks that stamp the inputs must agree: those of one host do.
    """

    settings_type = StreamAlignerSettings
    settings: StreamAlignerSettings
    at_gap = "hold"

    def __init__(self, settings: StreamAlignerSettings) -> None:
        super().__init__(settings)
        self._reference = next(iter(settings.inputs))
        self._latency_ns = round(settings.latency * NS_PER_S)
        self._specs: dict[str, StreamSpec] = {}
        self._made = StreamSpec()
        self._base = TimeBase(1.0, 0)
        self._tracks: dict[str, Track] = {}
        self._columns: dict[str, slice] = {}
        self._fill: Any = None
        self.reset()

    def input_names(self) -> tuple[str, ...]:
        """Names that the settings give."""
        return tuple(self.settings.inputs)

    def describe(self, inputs: Mapping[str, StreamSpec]) -> Mapping[str, StreamSpec]:
        """Check that the inputs go together."""
        specs = {name: inputs[name] for name in self.settings.inputs}
        self._made = self._merged(specs)
        self._specs = specs
        ends = np.cumsum([0, *(spec.n_channels for spec in specs.values())]).tolist()
        self._columns = {name: slice(a, b) for name, a, b in zip(specs, ends, ends[1:], strict=False)}
        self._base = self._time_base(specs[self._reference])
        tolerance = self.settings.tolerance
        self._tracks = {
            name: Track(
                self._time_base(specs[name]),
                method,
                None if tolerance is None else round(tolerance * NS_PER_S),
                np.empty((0, specs[name].n_channels), self._dtype_of(name, specs[name])),
            )
            for name, method in self.settings.inputs.items()
            if method != "reference"
        }
        self.reset()
        return {"out": self._made}

    def reset(self) -> None:
        """Forget all inputs."""
        self._waiting: deque[_Waiting] = deque()
        self._newest = NEVER  # time of the reference
        self._base.reset()
        self._lagging: set[str] = set()
        for track in self._tracks.values():
            track.reset()

    def process(self, chunk: Chunk, name: str) -> Sequence[Chunk | Gap]:
        """Take one chunk; give the samples of the reference for which all is known."""
        if not len(chunk):
            return ()
        values = self._values(name, chunk)
        if name == self._reference:
            times = self._base.follow(chunk)
            self._note_lag(name, int(times[-1]) < self._patience())
            self._waiting.append(_Waiting(chunk.with_data(values), times))
            self._newest = int(times[-1])
        else:
            self._tracks[name].add(chunk, values)
        return self._give()

    def gap(self, gap: Gap, name: str) -> Sequence[Chunk | Gap]:
        """Stop waiting for what will not come."""
        if name == self._reference:
            self._waiting.append(_Waiting(gap, np.empty(0, np.int64)))
        else:
            self._tracks[name].gap(gap)
        return self._give()

    def finish(self, name: str) -> Sequence[Chunk | Gap]:
        """At the end of the reference, wait for nobody; that of another input is one more gap."""
        if name != self._reference:
            self._tracks[name].end_epoch()
            return ()
        made = self._give(everything=True)
        self._base.reset()
        self._newest = NEVER
        return made

    # --- what goes together

    def _merged(self, specs: Mapping[str, StreamSpec]) -> StreamSpec:
        for name, spec in specs.items():
            require_channels(name, spec)
            if self.settings.inputs[name] == "linear" and spec.streamtype == "digitalsignal":
                raise StreamMismatch(
                    f"StreamAligner: input {name!r} is a digitalsignal, and has nothing between two samples: "
                    "wanted 'nearest' or 'previous'"
                )
            if name != self._reference and self.settings.latency * spec.sample_rate <= 1:
                raise ConfigurationError(
                    f"latency={self.settings.latency:g} s is too short to wait for the next sample of input "
                    f"{name!r}, at {spec.sample_rate:g} Hz: wanted more than {1 / spec.sample_rate:g} s"
                )
        require_same(specs, "streamtype", "align them apart")
        require_same(
            specs, "units", "one stream has one unit: bring them to the same units, or align them apart"
        )
        dtype = common_dtype({name: self._dtype_of(name, spec) for name, spec in specs.items()})
        self._fill = self._checked_fill(dtype) if self.settings.missing == "fill" else None
        names = merged_names(specs)
        scaling = {"scale": 1.0, "offset": 0.0} if self.settings.physical else merged_scaling(specs)
        return specs[self._reference].replace(
            dtype=dtype.str, shape=(-1, len(names)), channel_names=names, **scaling
        )

    def _dtype_of(self, name: str, spec: StreamSpec) -> np.dtype[Any]:
        """Data type of the values looked up in an input."""
        dtype = spec.np_dtype.newbyteorder("=")
        if self.settings.physical:
            return np.dtype(np.float64)
        # Between two integers there are others; int64 becomes a float that may not hold it, and is refused.
        is_between = self.settings.inputs[name] == "linear" and dtype.kind != "f"
        if not is_between:
            return dtype
        if not fits_exactly(dtype, np.dtype(np.float64)):
            raise StreamMismatch(
                f"StreamAligner: input {name!r} is {dtype}, and not every value of that is a float64, which "
                "'linear' needs: take 'nearest' or 'previous', or convert it first (StreamConverter)"
            )
        return np.dtype(np.float64)

    def _checked_fill(self, dtype: np.dtype[Any]) -> Any:
        value = math.nan if self.settings.fill_value is None else self.settings.fill_value
        if dtype.kind == "f":
            return value
        limits = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        if not (math.isfinite(value) and value == int(value) and limits[0] <= value <= limits[1]):
            raise ConfigurationError(
                f"fill_value={value:g} does not fit the output's {dtype}: give a whole number from "
                f"{limits[0]} to {limits[1]}, or convert the inputs to floats first (StreamConverter)"
            )
        return int(value)

    def _time_base(self, spec: StreamSpec) -> TimeBase:
        return TimeBase(
            spec.sample_rate, round(self.settings.jitter * NS_PER_S), round(spec.group_delay * NS_PER_S)
        )

    # --- samples

    def _values(self, name: str, chunk: Chunk) -> npt.NDArray[Any]:
        """Samples of a chunk in the data type in which they are looked up. A copy."""
        spec = self._specs[name]
        if self.settings.physical:
            return spec.to_physical(chunk.data)
        return chunk.data.astype(self._dtype_of(name, spec))

    def _give(self, everything: bool = False) -> list[Chunk | Gap]:
        made: list[Chunk | Gap] = []
        done = patience = self._patience()
        limit = max(patience, min(track.known_to for track in self._tracks.values()))
        while self._waiting:
            first = self._waiting[0]
            stop = len(first.times) if everything else int(np.searchsorted(first.times, limit, side="right"))
            if isinstance(first.item, Gap):
                made.append(first.item)
            elif stop > first.done:
                times = first.times[first.done : stop]
                for name, track in self._tracks.items():
                    self._note_lag(name, not everything and track.known_to < times[-1])
                rate = self._made.sample_rate
                made += self._merge(part_of(first.item, first.done, stop, rate), times)
                done = max(done, int(times[-1]))
                first.done = stop
            if first.done < len(first.times):
                break
            self._waiting.popleft()
        if done != NEVER:
            for track in self._tracks.values():
                track.forget(done)
        return made

    def _merge(self, chunk: Chunk, times: Times) -> list[Chunk | Gap]:
        """Put the other inputs beside samples of the reference."""
        out = np.empty((len(chunk), self._made.n_channels), self._made.np_dtype)
        out[:, self._columns[self._reference]] = chunk.data
        keep = np.ones(len(chunk), np.bool_)
        for name, track in self._tracks.items():
            values, exists = track.look_up(times)
            columns = out[:, self._columns[name]]
            columns[...] = values
            if self.settings.missing == "fill":
                columns[~exists] = self._fill
            else:
                keep &= exists
        whole = chunk.with_data(out)
        edges = [0, *(np.flatnonzero(np.diff(keep)) + 1).tolist(), len(keep)]
        rate, start = self._made.sample_rate, chunk.start
        made: list[Chunk | Gap] = []
        for a, b in pairwise(edges):
            if keep[a]:
                made.append(part_of(whole, a, b, rate))
            else:
                made.append(Gap(start + a, start + b, epoch=chunk.epoch, reason="unaligned"))
        return made

    def _patience(self) -> int:
        """Time up to which nobody is waited for, ns."""
        newest = max([self._newest, *(track.newest for track in self._tracks.values())])
        return newest if newest == NEVER else newest - self._latency_ns

    def _note_lag(self, name: str, lags: bool) -> None:
        """Say once that an input is no longer waited for."""
        if not lags:
            self._lagging.discard(name)
        elif name not in self._lagging:
            self._lagging.add(name)
            logger.warning(
                "input %r lags by more than latency=%g s and is not waited for until it has caught up",
                name,
                self.settings.latency,
            )
