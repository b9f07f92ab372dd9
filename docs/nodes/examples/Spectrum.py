"""At which frequency the most power is, twice a second."""

import numpy as np

import pyacq_lab as pyacq

t = np.arange(3000) / 1000
wave = np.sin(2 * np.pi * 10 * t) + 0.3 * np.sin(2 * np.pi * 25 * t)

with pyacq.LocalNodeGroup() as here:
    source = here.create_node("ArraySource", "source")
    source.configure(data=wave, sample_rate=1000.0, units="uV", realtime=False)
    spectrum = here.create_node("Spectrum", "spectrum")
    spectrum.configure(every=0.5, length=1.0, high=40.0)
    spectrum.input.connect(source.output)
    here.start_all_nodes()
    pyacq.wait_for(lambda: source.state == "ready")  # it has come to its end
    here.stop_all_nodes()
    with spectrum.output.open() as stream:
        last = stream[-1:][0]
    spec = spectrum.output.spec

print(spec.names[last.argmax()], spec.sample_rate, spec.units)
# > 0 10 Hz 2.0 (uV)²/Hz
