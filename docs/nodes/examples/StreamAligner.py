"""A slow stream beside a fast one: its value at each of the fast one's samples, on the line between two."""

import numpy as np

import pyacq_lab as pyacq
from pyacq_lab.processing import StreamAligner

align = StreamAligner(StreamAligner.settings_type.checked(inputs={"fast": "reference", "slow": "linear"}))
specs = {
    "fast": pyacq.StreamSpec(sample_rate=1000.0, channel_names=("eeg",)),
    "slow": pyacq.StreamSpec(sample_rate=200.0, channel_names=("force",)),
}
print(align.describe(specs)["out"].names)
# > ('eeg', 'force')
begin_ns = 1_700_000_000_000_000_000  # both streams begin at the same time
align.process(pyacq.Chunk(0, np.array([[0.0], [10.0], [20.0]]), begin_ns), "slow")
for chunk in align.process(pyacq.Chunk(0, np.arange(100.0, 106.0)[:, np.newaxis], begin_ns), "fast"):
    print(chunk.data.tolist())
    # > [[100.0, 0.0], [101.0, 2.0], [102.0, 4.0], [103.0, 6.0], [104.0, 8.0], [105.0, 10.0]]
