"""Chunks of another length, with every sample in its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np

from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.roles import Transform
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing.spans import part_of


class ChunkResizerSettings(Settings):
    """Settings of `ChunkResizer`."""

    chunk_size: int = setting(256, ge=1, unit="samples", description="length of a chunk")
    mode: Literal["exactly", "at_most", "at_least"] = setting(
        "exactly",
        description="exactly: all chunks have `chunk_size`; at_most: longer ones are cut, nothing waits; "
        "at_least: short ones are joined until they are long enough",
    )
    aligned: bool = setting(
        False,
        description="whether chunks end where the absolute index is a multiple of `chunk_size`; "
        "the first after a start or a gap may be shorter for that",
    )


class ChunkResizer(Transform):
    """Cuts and joins chunks to the length asked for.

    One input `in` and one output `out` of the same stream: samples, indices and gaps stay as they are, and
    the time of a chunk is that of its first sample, as its own chunk had it.

    Nothing is joined over a gap or into a new epoch: what was held back then, or when the node stops, goes
    out as a shorter chunk. Until then, ``chunk_size - 1`` samples at most wait for the next ones.
    """

    settings_type = ChunkResizerSettings
    settings: ChunkResizerSettings
    at_gap = "reset"

    def __init__(self, settings: ChunkResizerSettings) -> None:
        super().__init__(settings)
        self._spec = StreamSpec()
        self._held: list[Chunk] = []  # copies: what they were taken from may be overwritten

    def describe(self, inputs: Mapping[str, StreamSpec]) -> Mapping[str, StreamSpec]:
        """Describe the same stream, with room for its longest chunk."""
        self._spec = spec = inputs["in"]
        self.reset()
        if self.settings.mode == "at_most":
            return {"out": spec}
        # A ring buffer cuts what is longer than half of it.
        return {"out": spec.replace(buffer_size=spec.ring_size + 2 * self.settings.chunk_size)}

    def reset(self) -> None:
        """Forget what is held back."""
        self._held = []

    def process(self, chunk: Chunk, name: str) -> Sequence[Chunk]:
        """Give the chunks that are complete now; hold back the rest."""
        made: list[Chunk] = []
        if self._held and (chunk.epoch, chunk.start) != (self._held[-1].epoch, self._held[-1].stop):
            made += self._take_held()
        at = 0
        for stop in self._cuts(chunk):
            made.append(self._joined(part_of(chunk, at, stop, self._spec.sample_rate)))
            at = stop
        if at < len(chunk):
            rest = part_of(chunk, at, len(chunk), self._spec.sample_rate)
            self._held.append(rest.with_data(rest.data.copy()))
        return made

    def gap(self, gap: Gap, name: str) -> Sequence[Chunk | Gap]:
        """Give what was held back, and tell of the gap."""
        return [*self._take_held(), gap]

    def finish(self, name: str) -> Sequence[Chunk]:
        """Give what was held back."""
        return self._take_held()

    def _cuts(self, chunk: Chunk) -> Iterator[int]:
        """Where chunks end in this one, counted from its first sample."""
        size, mode, aligned = self.settings.chunk_size, self.settings.mode, self.settings.aligned
        first = self._held[0].start if self._held else chunk.start  # of the chunk that fills
        origin = 0 if aligned else first
        # Boundaries lie at origin + k * size; the first one after `first`:
        bound = first + size - (first - origin) % size
        if mode == "at_least":
            last = chunk.stop - (chunk.stop - origin) % size if aligned else chunk.stop
            if last >= bound:
                yield last - chunk.start
            return
        yield from range(bound - chunk.start, len(chunk) + 1, size)
        if mode == "at_most" and len(chunk) and (chunk.stop - bound) % size:
            yield len(chunk)

    def _joined(self, last: Chunk) -> Chunk:
        """What is held back and ``last``, as one chunk."""
        if not self._held:
            return last
        pieces, self._held = [*self._held, last], []
        return pieces[0].with_data(np.concatenate([piece.data for piece in pieces]))

    def _take_held(self) -> list[Chunk]:
        if not self._held:
            return []
        last = self._held.pop()
        return [self._joined(last)]
