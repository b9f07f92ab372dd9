"""From edges of lines that are high or low to events: which of them count, and as what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.events import Event, event_array
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.processing.spans import NS_PER_S

Ints = npt.NDArray[np.int64]


class EdgeSettings(Settings):
    """What all triggers have."""

    edge: Literal["rising", "falling", "both"] = setting(
        "rising", live=True, description="which edges are events"
    )
    debounce: float = setting(
        0.0,
        ge=0,
        unit="s",
        live=True,
        description="for how long after an event the same line gives no other one; its events are not late",
    )
    stable: float = setting(
        0.0,
        ge=0,
        unit="s",
        live=True,
        description="for how long the line must stay there after an edge, or it was no edge; events come as "
        "much later, but mark the edge itself",
    )


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that is high or low: a channel, or a bit of it.

    Attributes
    ----------
    name : str
        As the labels of its events say it.
    channel : int
        Column of the stream.
    codes : tuple of int
        Of its events: where it falls, and where it rises.
    """

    name: str
    channel: int
    codes: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Edges:
    """Edges, in the order of their samples and, in one sample, of their lines; each of shape (n,)."""

    index: Ints
    time_ns: Ints
    line: Ints
    is_rise: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, which: Any) -> Edges:
        return Edges(self.index[which], self.time_ns[which], self.line[which], self.is_rise[which])

    @classmethod
    def none(cls) -> Edges:
        """No edge at all."""
        nothing = np.empty(0, np.int64)
        return cls(nothing, nothing, nothing, np.empty(0, np.bool_))

    @classmethod
    def of(cls, chunk: Chunk, sample_rate: float, row: Ints, line: Ints, is_rise: Any) -> Edges:
        """Edges at some rows of a chunk."""
        since = np.rint(row * (NS_PER_S / sample_rate)).astype(np.int64)
        return cls(chunk.start + row, chunk.time_ns + since, line, is_rise)

    def then(self, more: Edges) -> Edges:
        """These, and later ones."""
        if not len(self):
            return more
        return Edges(
            np.concatenate([self.index, more.index]),
            np.concatenate([self.time_ns, more.time_ns]),
            np.concatenate([self.line, more.line]),
            np.concatenate([self.is_rise, more.is_rise]),
        )


class EdgeEvents:
    """Makes events of edges, whatever the chunks in which they come.

    Parameters
    ----------
    settings : EdgeSettings
        Which edges count.
    lines : sequence of Line
        What the edges are of.
    sample_rate : float
        Hz.
    """

    def __init__(self, settings: EdgeSettings, lines: Sequence[Line], sample_rate: float) -> None:
        self._rate = sample_rate
        words = ("falls", "rises")
        self._table = event_array(
            Event(0, channel=line.channel, code=code, label=f"{line.name} {word}")
            for line in lines
            for code, word in zip(line.codes, words, strict=True)
        )
        self.count = 0
        self._quiet_to = np.zeros(len(lines), np.int64)  # for each line, where its next event may be
        self.take(settings)
        self.forget()

    def take(self, settings: EdgeSettings) -> None:
        """Judge by these settings from now on."""
        self._edge = settings.edge
        self._debounce = round(settings.debounce * self._rate)
        self._stable = max(1, round(settings.stable * self._rate))

    def forget(self) -> None:
        """Drop edges that were yet to be judged; the count of events goes on."""
        self._open = Edges.none()
        self._quiet_to[:] = 0

    def reset(self) -> None:
        """Forget everything."""
        self.count = 0
        self.forget()

    def events(self, new: Edges, chunk: Chunk) -> Chunk | None:
        """Events among the edges of a chunk, and among earlier ones that have now proved stable."""
        edges = self._open.then(new)
        if self._stable > 1 and len(edges):
            follower = _next_of_line(edges)
            is_stable = np.minimum(follower, chunk.stop) - edges.index >= self._stable
            self._open = edges[(follower > chunk.stop) & ~is_stable]
            edges = edges[is_stable]
        else:
            self._open = Edges.none()
        if self._edge != "both":
            edges = edges[edges.is_rise == (self._edge == "rising")]
        if self._debounce > 1 and len(edges):
            edges = edges[self._undisturbed(edges)]
        if not len(edges):
            return None
        return self._made(edges, chunk)

    def _undisturbed(self, edges: Edges) -> npt.NDArray[np.bool_]:
        keep = np.zeros(len(edges), np.bool_)
        for line in np.unique(edges.line):
            places = np.flatnonzero(edges.line == line)
            index = edges.index[places]
            at = int(np.searchsorted(index, self._quiet_to[line]))
            while at < len(index):  # once for each event, not for each sample
                keep[places[at]] = True
                self._quiet_to[line] = index[at] + self._debounce
                at = int(np.searchsorted(index, self._quiet_to[line]))
        return keep

    def _made(self, edges: Edges, chunk: Chunk) -> Chunk:
        made = self._table[2 * edges.line + edges.is_rise]
        made["index"], made["time_ns"] = edges.index, edges.time_ns
        first, self.count = self.count, self.count + len(made)
        return Chunk(first, made, int(made["time_ns"][0]), chunk.uncertainty_ns, chunk.epoch)


def _next_of_line(edges: Edges) -> Ints:
    """For each edge, the index of the next one of its line; the largest integer where there is none yet."""
    order = np.lexsort((edges.index, edges.line))
    line, index = edges.line[order], edges.index[order]
    follower = np.full(len(order), np.iinfo(np.int64).max)
    is_same = line[1:] == line[:-1]
    follower[:-1][is_same] = index[1:][is_same]
    out = np.empty_like(follower)
    out[order] = follower
    return out
