"""One stream to many: each output carries some of the channels."""

from __future__ import annotations

from collections.abc import Mapping

from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.roles import Transform
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing.selection import (
    Columns,
    Selection,
    as_columns,
    find_channels,
    require_columns,
    select_channels,
)


class ChannelSplitterSettings(Settings):
    """Settings of `ChannelSplitter`."""

    outputs: dict[str, Selection] = setting(
        min_length=1,
        description="for each output, by its name, the channels it carries, in order: names, indices "
        "(negative ones from the end) and slices as text, such as {'left': ['C3', 'F3'], 'rest': ['4:']}",
    )


class ChannelSplitter(Transform):
    """Sends selected channels to any number of outputs.

    One input `in` of channels of any data type; the outputs that the settings name. A channel may go to
    several outputs, or to none. What the stream's spec says of a channel stays with it: name, units, scale
    and offset. So do data type, indices, gaps and times.
    """

    settings_type = ChannelSplitterSettings
    settings: ChannelSplitterSettings
    at_gap = "hold"

    def __init__(self, settings: ChannelSplitterSettings) -> None:
        super().__init__(settings)
        self._columns: dict[str, Columns] = {}

    def output_names(self) -> tuple[str, ...]:
        """Names that the settings give."""
        return tuple(self.settings.outputs)

    def describe(self, inputs: Mapping[str, StreamSpec]) -> Mapping[str, StreamSpec]:
        """Find the channels."""
        spec = require_columns(inputs["in"], "ChannelSplitter")
        found = {
            name: find_channels(spec, wanted, f"output {name!r}")
            for name, wanted in self.settings.outputs.items()
        }
        self._columns = {name: as_columns(indices) for name, indices in found.items()}
        return {name: select_channels(spec, indices) for name, indices in found.items()}

    def process(self, chunk: Chunk, name: str) -> Mapping[str, Chunk]:
        """Give each output its columns; views where they lie evenly."""
        return {output: chunk.with_data(chunk.data[:, at]) for output, at in self._columns.items()}
