"""The common average: what all channels share is gone."""

import numpy as np

import pyacq_lab as pyacq
from pyacq_lab.processing import Reference

average = Reference(Reference.settings_type.checked(kind="average"))
average.describe({"in": pyacq.StreamSpec(shape=(-1, 3), sample_rate=1000.0, units="uV")})
hum, own = np.array([[50.0], [-50.0]]), np.array([1.0, 2.0, 3.0])
print(average.process(pyacq.Chunk(0, hum + own), "in").tolist())
# > [[-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]]
