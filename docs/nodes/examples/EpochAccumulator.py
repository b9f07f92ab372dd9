"""A response that is hidden in noise comes out as the mean of what follows each pulse."""

import numpy as np

import pyacq_lab as pyacq

pulse, eeg = np.zeros(5000), np.random.default_rng(0).standard_normal(5000)
for start in range(0, 5000, 500):
    pulse[start + 200 : start + 210] = 5.0
    eeg[start + 300] += 4.0  # 100 ms later

with pyacq.LocalNodeGroup() as here:
    source = here.create_node("ArraySource", "source")
    source.configure(data=np.column_stack([pulse, eeg]), sample_rate=1000.0, loops=0, speed=10.0)
    trigger = here.create_node("AnalogTrigger", "trigger")
    trigger.configure(threshold=2.5, channels=[0])
    epochs = here.create_node("EpochAccumulator", "epochs")
    epochs.configure(before=0.1, after=0.3, history=20.0)
    trigger.input.connect(source.output)
    epochs.inputs["in"].connect(source.output)
    epochs.inputs["events"].connect(trigger.output)
    here.start_all_nodes()
    pyacq.wait_for(lambda: epochs.output.status().samples >= 10)
    with epochs.output.open() as stream:
        mean = stream[0:10]["data"].mean(axis=0)
    here.stop_all_nodes()

print(mean.shape, mean[:, 1].argmax() - 100, "ms")
# > (400, 2) 100 ms
