"""A step of 1 becomes a ramp as long as the window. The class works by itself, too, without a node."""

import numpy as np

import pyacq_lab as pyacq
from pyacq_lab.processing import MovingMean

mean = MovingMean(MovingMean.settings_type.checked(window=0.004))
spec = mean.describe({"in": pyacq.StreamSpec(sample_rate=1000.0, units="mV")})["out"]
step = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 1.0])[:, np.newaxis]
print(mean.process(pyacq.Chunk(0, step), "in")[:, 0])
# > [0.   0.   0.   0.   0.25 0.5  0.75 1.   1.   1.  ]
print(spec.group_delay, spec.units)
# > 0.0015 mV
