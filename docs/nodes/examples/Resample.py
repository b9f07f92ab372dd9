"""A recording at 1000 Hz becomes one at 250 Hz, of the same length in time."""

import numpy as np

import pyacq_lab as pyacq

t = np.arange(4000) / 1000
wave = np.sin(2 * np.pi * 10 * t)

with pyacq.LocalNodeGroup() as here:
    source = here.create_node("ArraySource", "source")
    source.configure(data=wave, sample_rate=1000.0, realtime=False)
    resample = here.create_node("Resample", "resample")
    resample.configure(sample_rate=250.0)
    resample.input.connect(source.output)
    here.start_all_nodes()
    pyacq.wait_for(lambda: source.state == "ready")  # it has come to its end
    here.stop_all_nodes()
    with resample.output.open() as stream:
        slower = stream[:][:, 0]

print(len(slower), abs(slower - wave[::4])[100:-100].max() < 1e-4)
# > 1000 True
