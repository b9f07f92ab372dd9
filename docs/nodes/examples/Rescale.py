"""A force sensor of 20 mV/N on an input in volts."""

import numpy as np

import pyacq_lab as pyacq
from pyacq_lab.processing import Rescale

force = Rescale(Rescale.settings_type.checked(gain=50.0, units="N"))
spec = force.describe({"in": pyacq.StreamSpec(sample_rate=1000.0, units="V")})["out"]
print(force.process(pyacq.Chunk(0, np.array([[0.0], [0.02], [0.04]])), "in")[:, 0].tolist(), spec.units)
# > [0.0, 1.0, 2.0] N
