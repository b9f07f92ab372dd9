"""Of 10 Hz and 200 Hz the slow one stays."""

import numpy as np

import pyacq_lab as pyacq

t = np.arange(5000) / 1000
slow, fast = np.sin(2 * np.pi * 10 * t), np.sin(2 * np.pi * 200 * t)

with pyacq.LocalNodeGroup() as here:
    source = here.create_node("ArraySource", "source")
    source.configure(data=slow + fast, sample_rate=1000.0, units="mV", realtime=False)
    lowpass = here.create_node("SosFilter", "lowpass")
    lowpass.configure(kind="lowpass", high=40.0)
    lowpass.input.connect(source.output)
    here.start_all_nodes()
    pyacq.wait_for(lambda: source.state == "ready")  # it has come to its end
    here.stop_all_nodes()
    with lowpass.output.open() as stream:
        filtered = stream[:][:, 0]
    delay = lowpass.output.spec.group_delay

late = np.sin(2 * np.pi * 10 * (t - delay))  # what was at t comes out at t + delay
print(f"{delay:.4f} s; within {abs(filtered - late)[1000:].max():.3f}")
# > 0.0103 s; within 0.007
