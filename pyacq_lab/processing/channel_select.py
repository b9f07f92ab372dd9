"""Some of the channels."""

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


class ChannelSelectSettings(Settings):
    """Settings of `ChannelSelect`."""

    channels: Selection = setting(
        description="channels that go on, in order: names, indices (negative ones from the end) and slices "
        "as text, such as ['C3', 'F3', '8:']"
    )


class ChannelSelect(Transform):
    """Lets some channels through, in any order; `ChannelSplitter` does so for many outputs.

    One input `in` of channels of any data type, one output `out`. What the stream's spec says of a channel
    stays with it: name, units, scale and offset. So do data type, indices, gaps and times; NaN are values
    like others.

    Examples
    --------
    >>> import numpy as np
    >>> from pyacq_lab.model.chunk import Chunk
    >>> select = ChannelSelect(ChannelSelectSettings.checked(channels=["b", 0]))
    >>> spec = StreamSpec(shape=(-1, 3), channel_names=("a", "b", "c"))
    >>> select.describe({"in": spec})["out"].names
    ('b', 'a')
    >>> select.process(Chunk(0, np.array([[1.0, 2.0, 3.0]])), "in").data.tolist()
    [[2.0, 1.0]]
    """

    settings_type = ChannelSelectSettings
    settings: ChannelSelectSettings
    at_gap = "hold"

    def __init__(self, settings: ChannelSelectSettings) -> None:
        super().__init__(settings)
        self._columns: Columns = slice(None)

    def describe(self, inputs: Mapping[str, StreamSpec]) -> Mapping[str, StreamSpec]:
        """Find the channels."""
        spec = require_columns(inputs["in"], "ChannelSelect")
        found = find_channels(spec, self.settings.channels, "channels")
        self._columns = as_columns(found)
        return {"out": select_channels(spec, found)}

    def process(self, chunk: Chunk, name: str) -> Chunk:
        """Give the columns; a view where they lie evenly."""
        return chunk.with_data(chunk.data[:, self._columns])
