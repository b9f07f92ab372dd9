"""A slow sine, a sync signal and noise, each with a name. A sample is known by its index alone."""

import numpy as np

import pyacq_lab as pyacq

with pyacq.LocalNodeGroup() as here:
    generator = here.create_node("SignalGenerator", "generator")
    generator.configure(
        sample_rate=1000.0,
        channels=[
            {"name": "breath", "frequency": 0.25},
            {"name": "sync", "waveform": "square", "frequency": 10.0, "amplitude": 5.0},
            {"name": "noise", "waveform": "noise", "amplitude": 0.1},
        ],
    )
    here.start_all_nodes()
    pyacq.wait_for(lambda: generator.output.status().samples >= 100)
    with generator.output.open() as stream:
        samples = stream[0:100]
    print(generator.output.spec.names, np.array_equal(samples, generator.samples(0, 100)))
    # > ('breath', 'sync', 'noise') True
