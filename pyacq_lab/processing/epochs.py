"""Windows of a signal around events."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import StrictInt, model_validator

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.events import EVENT_BUFFER, event_dtype, index_in, require_events
from pyacq_lab.model.roles import Transform
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing.checks import require_signal
from pyacq_lab.processing.pending import Pending
from pyacq_lab.processing.spans import NS_PER_S, empty_at

logger = logging.getLogger(__name__)

SAME_MOMENT = NS_PER_S // 4
"""How far the time of an event may be from that of its sample, ns; beyond, it is of another epoch."""

MAX_NBYTES = 1 << 30
"""Largest epoch, bytes."""

_NBYTES = 64 << 20


class EpochAccumulatorSettings(Settings):
    """Settings of `EpochAccumulator`."""

    before: float = setting(0.2, unit="s", description="how long before the event an epoch begins")
    after: float = setting(0.8, unit="s", description="how long after the event it ends")
    codes: tuple[StrictInt, ...] | None = setting(
        None, min_length=1, description="codes of the events that count; None: all"
    )
    labels: tuple[str, ...] | None = setting(
        None, min_length=1, description="labels of the events that count; None: all"
    )
    history: float = setting(
        2.0, ge=0, unit="s", description="how late an event may come after the end of its epoch"
    )
    missing: Literal["skip", "fill"] = setting(
        "skip",
        description="an epoch of which samples are missing: skip leaves it out, which is told as a gap; fill "
        "has NaN for them",
    )

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if not self.after > -self.before:
            raise ValueError(f"an epoch from {-self.before:g} s to {self.after:g} s is empty")
        return self


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An event whose epoch is yet to come."""

    event: npt.NDArray[Any]  # of shape ()
    index: int  # in the signal
    time_ns: int  # when it was acquired


class EpochAccumulator(Transform):
    """Cuts the signal around each event; overlapping epochs each have all of their samples.

    Inputs `in`, a signal, and `events` (`pyacq_lab.model.events`), from the same source: as triggers give
    them, also behind filters of another delay, or at another rate. One output `out`: an epoch in each
    sample, with the fields of its event and ``data``, float64 in the units of `in`, shape
    (n_samples, n_channels), the channels in the order of `in`. ``index`` is the sample of `in` that is of
    the event's moment, and ``time_ns`` its time: group delays of both inputs are reckoned with. That sample
    is number ``round(before * sample_rate)`` of ``data``.

    Epochs come in the order in which their events came, as soon as their last sample has, and are numbered
    by it: number ``k`` is that of the event ``k`` that counts. Where it is left out, its number is told as a
    gap of the output: because samples are missing (a gap, or the beginning or end of the signal), or because
    the event came more than ``history`` after its epoch. Behind a producer that waits for its readers, such
    as a replay as fast as it goes, the signal may be as far ahead as ring buffers are long: twice its own is
    kept, besides. Which of the inputs is ahead does not matter. A new epoch of `in` begins one of the output;
    by their times, events of one do not cut the other.

    NaN in the signal are values like others.

    Examples
    --------
    >>> from pyacq_lab.model.events import Event, event_array, event_spec
    >>> cut = EpochAccumulator(EpochAccumulatorSettings.checked(before=0.001, after=0.002))
    >>> spec = StreamSpec(sample_rate=1000.0)
    >>> out = cut.describe({"in": spec, "events": event_spec(1000.0)})["out"]
    >>> cut.process(Chunk(0, np.arange(10.0)[:, np.newaxis], 0), "in")
    []
    >>> made = cut.process(Chunk(0, event_array([Event(5_000_000, index=5)])), "events")
    >>> made[0].data["data"].tolist()
    [[[4.0], [5.0], [6.0]]]
    """

    settings_type = EpochAccumulatorSettings
    settings: EpochAccumulatorSettings
    inputs = ("in", "events")
    at_gap = "hold"

    def __init__(self, settings: EpochAccumulatorSettings) -> None:
        super().__init__(settings)
        self._spec = self._events = self._made = StreamSpec()
        self._n_before = self._n = self._n_kept = 0
        self._signal = Pending(1)
        self.reset()

    def describe(self, inputs: Mapping[str, StreamSpec]) -> Mapping[str, StreamSpec]:
        """Size the epochs."""
        spec, settings = require_signal(inputs["in"], "EpochAccumulator"), self.settings
        self._events = require_events(inputs["events"], "EpochAccumulator")
        self._n_before = round(settings.before * spec.sample_rate)
        self._n = max(1, self._n_before + round(settings.after * spec.sample_rate))
        if (nbytes := 8 * self._n * spec.n_channels) > MAX_NBYTES:
            raise ConfigurationError(
                f"an epoch of {self._n} samples in {spec.n_channels} channels is {nbytes / 2**30:.3g} GiB: "
                "wanted at most 1; cut shorter ones, or take fewer channels"
            )
        self._n_kept = self._n + round(settings.history * spec.sample_rate)
        if spec.waits:
            self._n_kept += 2 * spec.ring_size
        self._spec = spec
        dtype = np.dtype([*event_dtype().descr, ("data", "<f8", (self._n, spec.n_channels))])
        self._made = StreamSpec.of(
            dtype,
            streamtype="event",
            shape=(-1,),
            sample_rate=spec.sample_rate,
            units=spec.units,
            group_delay=spec.group_delay,
            buffer_size=max(16, min(EVENT_BUFFER, _NBYTES // dtype.itemsize)),
        )
        self._signal = Pending(spec.n_channels, spec.np_dtype)
        self.reset()
        return {"out": self._made}

    def reset(self) -> None:
        """Forget signal and events."""
        self._queue: deque[_Waiting | int] = deque()  # a number: so many were lost
        self._count = 0
        self._warned = False
        self._forget_signal()

    def process(self, chunk: Chunk, name: str) -> Sequence[Chunk]:
        """Take signal or events; give the epochs that are complete."""
        if not len(chunk):
            return []
        if name == "events":
            self._queue.extend(self._chosen(chunk.data))
        else:
            self._begin_if_over()
            self._signal.add(chunk, self._spec.sample_rate)
            self._note(chunk)
        return self._give()

    def gap(self, gap: Gap, name: str) -> Sequence[Chunk]:
        """Give up epochs that reach into a gap of the signal; count events that were lost."""
        if name == "events":
            self._queue.append(len(gap))
        else:
            self._begin_if_over()
            self._skip_signal(gap)
        return self._give()

    def finish(self, name: str) -> Sequence[Chunk]:
        """At the end of the signal, give up what is not complete; events may still come for what is there."""
        if name == "events":
            if self._is_over:  # an epoch of both is
                self._queue.clear()
                self._begin_if_over()
            return []
        self._is_over = True
        return self._give()

    # --- signal

    def _forget_signal(self) -> None:
        self._signal.clear()
        self._holes: list[tuple[int, int]] = []
        self._anchor: Chunk | None = None  # the last chunk, without samples
        self._stop = 0
        self._is_over = False

    def _begin_if_over(self) -> None:
        """Forget a signal that has ended, and count anew."""
        if self._is_over:
            self._count = 0
            self._forget_signal()

    def _note(self, chunk: Chunk) -> None:
        self._anchor, self._stop = chunk.with_data(chunk.data[:0]), chunk.stop
        self._signal.drop_to(min(chunk.stop, self._oldest_wanted(chunk.stop - self._n_kept)))
        self._holes = [(a, b) for a, b in self._holes if b > self._signal.start]

    def _oldest_wanted(self, index: int) -> int:
        """Where the first epoch that waits begins, or ``index`` where that is earlier."""
        begins = (w.index - self._n_before for w in self._queue if isinstance(w, _Waiting) and self._fits(w))
        return max(self._signal.start, min(index, *begins, index))

    def _skip_signal(self, gap: Gap) -> None:
        place = self._anchor
        if place is None:
            return
        since = round((gap.start - place.start) * NS_PER_S / self._spec.sample_rate)
        if len(gap) > self._n_kept:  # nothing before it is in reach any more
            self._signal.clear()
            self._holes = []
        else:
            nothing = np.zeros((len(gap), *self._spec.sample_shape), self._spec.np_dtype)
            fill = Chunk(gap.start, nothing, place.time_ns + since, place.uncertainty_ns, place.epoch)
            self._signal.add(fill, self._spec.sample_rate)
            self._holes.append((gap.start, gap.stop))
        self._stop = gap.stop

    # --- events

    def _chosen(self, events: npt.NDArray[Any]) -> list[_Waiting]:
        settings, keep = self.settings, np.ones(len(events), np.bool_)
        if settings.codes is not None:
            keep &= np.isin(events["code"], settings.codes)
        if settings.labels is not None:
            keep &= np.isin(events["label"], [label.encode() for label in settings.labels])
        events = events[keep].copy()
        at = index_in(events, self._events, self._spec).tolist()
        delay = round(self._events.group_delay * NS_PER_S)
        return [
            _Waiting(event, index, int(event["time_ns"]) - delay)
            for event, index in zip(events, at, strict=True)
        ]

    def _give(self) -> list[Chunk]:
        made: list[Chunk] = []
        told = self._count
        while self._queue:
            first = self._queue[0]
            if isinstance(first, int):
                self._count += first
            elif self._is_due(first):
                epoch = self._cut(first)
                if epoch is not None:
                    made.append(epoch)
                    told = self._count + 1
                self._count += 1
            else:
                break
            self._queue.popleft()
        if self._count > told and self._anchor is not None:
            made.append(empty_at(self._count, self._made, self._anchor.epoch))
        return made

    def _is_due(self, waiting: _Waiting) -> bool:
        """Whether all is known of its epoch that ever will be."""
        if self._anchor is None:
            return False
        ahead = waiting.time_ns - self._time_of(waiting.index)
        if ahead > SAME_MOMENT:  # of an epoch that is yet to begin, unless its time is over
            return not self._is_over and waiting.time_ns < self._time_of(self._stop) - SAME_MOMENT
        return self._is_over or ahead < -SAME_MOMENT or self._stop >= waiting.index - self._n_before + self._n

    def _fits(self, waiting: _Waiting) -> bool:
        """Whether an event is of this epoch of the signal, by its time."""
        return abs(waiting.time_ns - self._time_of(waiting.index)) <= SAME_MOMENT

    def _time_of(self, index: int) -> int:
        """When a sample was acquired, ns."""
        if self._anchor is None:
            raise ValueError("no signal has come yet")
        since = (index - self._anchor.start) / self._spec.sample_rate - self._spec.group_delay
        return self._anchor.time_ns + round(since * NS_PER_S)

    def _cut(self, waiting: _Waiting) -> Chunk | None:
        """The epoch of an event; None where it is left out."""
        place = self._anchor
        start = waiting.index - self._n_before
        stop = start + self._n
        if place is None or not self._fits(waiting):
            return self._left_out(waiting, "its time is that of another epoch of the signal")
        have = (self._signal.start, self._signal.stop) if len(self._signal) else (stop, stop)
        is_whole = (
            have[0] <= start and stop <= have[1] and all(b <= start or a >= stop for a, b in self._holes)
        )
        if not is_whole and self.settings.missing == "skip":
            return self._left_out(waiting, "samples are missing, or it came too late")
        made = np.zeros(1, self._made.np_dtype)
        for field in event_dtype().names or ():
            made[field] = waiting.event[field]
        made["index"] = waiting.index
        made["time_ns"] = self._time_of(waiting.index) + round(self._spec.group_delay * NS_PER_S)
        data = made["data"][0]
        data[:] = np.nan
        a, b = max(start, have[0]), min(stop, have[1])
        if b > a:
            raw = self._signal.first(b - have[0])[a - have[0] :]
            data[a - start : b - start] = self._spec.to_physical(raw)
        for first, last in self._holes:
            data[max(0, first - start) : max(0, last - start)] = np.nan
        self._warned = False
        return Chunk(self._count, made, int(made["time_ns"][0]), place.uncertainty_ns, place.epoch)

    def _left_out(self, waiting: _Waiting, why: str) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                "the epoch of the event at sample %d is left out: %s (more of them in a row are not told)",
                waiting.index,
                why,
            )
