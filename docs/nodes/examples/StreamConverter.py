"""Raw numbers of a converter become volts."""

import numpy as np

import pyacq_lab as pyacq
from pyacq_lab.processing import StreamConverter

convert = StreamConverter(StreamConverter.settings_type.checked(physical=True))
adc = pyacq.StreamSpec.of("int16", shape=(-1, 1), sample_rate=1000.0, scale=0.5, offset=-1.0, units="V")
spec = convert.describe({"in": adc})["out"]
volts = convert.process(pyacq.Chunk(0, np.array([[0], [1], [2]], "int16")), "in")
print(volts[:, 0].tolist(), spec.units, spec.np_dtype)
# > [-1.0, -0.5, 0.0] V float64
