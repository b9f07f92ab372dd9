"""A burst of 20 Hz, seen when and at which frequency it is."""

import numpy as np

import pyacq_lab as pyacq
from pyacq_lab.processing import TimeFrequency

morlet = TimeFrequency(TimeFrequency.settings_type.checked(frequencies=[10, 20, 40], scaling="amplitude"))
spec = morlet.describe({"in": pyacq.StreamSpec(sample_rate=1000.0, units="uV")})["out"]

t = np.arange(4000) / 1000
burst = np.where((t >= 1.5) & (t < 2.5), 2 * np.sin(2 * np.pi * 20 * t), 0.0)
chunks = [*morlet.process(pyacq.Chunk(0, burst[:, np.newaxis]), "in"), *morlet.finish("in")]
amplitude = np.concatenate([chunk.data for chunk in chunks])
seconds = (chunks[0].start + np.arange(len(amplitude))) / spec.sample_rate

when = int(np.searchsorted(seconds, 2.0))
print(dict(zip(spec.names, (amplitude[when] + 0.0).round(1).tolist(), strict=True)))
# > {'0 10 Hz': 0.0, '0 20 Hz': 2.0, '0 40 Hz': 0.0}
