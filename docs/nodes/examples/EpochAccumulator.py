"""A response that is hidden in noise comes out as the mean of what follows each pulse."""

import numpy as np

import pyacq_lab as pyacq

pulse, eeg = np.zeros(8000), np.random.default_rng(0).standard_normal(8000)
for start in range(500, 7500, 500):
    pulse[start : start + 10] = 5.0
    eeg[start + 100] += 4.0  # 100 ms later

with pyacq.LocalNodeGroup() as here:
    source = here.create_node("ArraySource", "source")
    source.configure(data=np.column_stack([pulse, eeg]), sample_rate=1000.0, realtime=False)
    trigger = here.create_node("AnalogTrigger", "trigger")
    trigger.configure(threshold=2.5, channels=[0])
    epochs = here.create_node("EpochAccumulator", "epochs")
    epochs.configure(before=0.1, after=0.3)
    trigger.input.connect(source.output)
    epochs.inputs["in"].connect(source.output)
    epochs.inputs["events"].connect(trigger.output)
    here.start_all_nodes()
    pyacq.wait_for(lambda: epochs.output.status().samples == 14)
    with epochs.output.open() as stream:
        mean = stream[:]["data"].mean(axis=0)

print(mean.shape, mean[:, 1].argmax() - 100, "ms")
# > (400, 2) 100 ms
