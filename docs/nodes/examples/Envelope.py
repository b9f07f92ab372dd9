"""The root mean square of an oscillation that becomes three times as strong."""

import numpy as np

import pyacq_lab as pyacq

wave = np.sqrt(2) * np.sin(2 * np.pi * 50 * np.arange(4000) / 1000)
wave[2000:] *= 3.0

with pyacq.LocalNodeGroup() as here:
    source = here.create_node("ArraySource", "source")
    source.configure(data=wave, sample_rate=1000.0, units="mV", realtime=False)
    envelope = here.create_node("Envelope", "envelope")
    envelope.configure(kind="rms", window=0.5)
    envelope.input.connect(source.output)
    here.start_all_nodes()
    pyacq.wait_for(lambda: source.state == "ready")  # it has come to its end
    here.stop_all_nodes()
    with envelope.output.open() as stream:
        rms = stream[:][:, 0]

print(rms[[1500, 3500]].round(1).tolist())
# > [1.0, 3.0]
