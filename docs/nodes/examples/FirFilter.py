"""A lowpass whose delay is the same at all frequencies: what is slow comes out as it was, and later."""

import numpy as np

import pyacq_lab as pyacq
from pyacq_lab.processing import FirFilter

lowpass = FirFilter(FirFilter.settings_type.checked(kind="lowpass", high=40.0, n_taps=101))
spec = lowpass.describe({"in": pyacq.StreamSpec(sample_rate=1000.0)})["out"]

t = np.arange(2000) / 1000
slow = np.sin(2 * np.pi * 5 * t)
both = slow + np.sin(2 * np.pi * 200 * t)
filtered = lowpass.process(pyacq.Chunk(0, both[:, np.newaxis]), "in")[:, 0]

delay = round(spec.group_delay * 1000)
print(delay, "samples; within", abs(filtered[delay:] - slow[:-delay])[200:].max().round(3))
# > 50 samples; within 0.003
