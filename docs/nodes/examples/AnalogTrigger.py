"""Two pulses in a noisy channel are two events, each at the sample at which it rises."""

import numpy as np

import pyacq_lab as pyacq
from pyacq_lab.model.events import events_in

volts = 0.1 * np.random.default_rng(0).standard_normal(2000)
volts[500:600] += 5.0
volts[1200:1300] += 5.0

with pyacq.LocalNodeGroup() as here:
    source = here.create_node("ArraySource", "source")
    source.configure(data=volts, sample_rate=1000.0, channel_names=["sync"], units="V", realtime=False)
    trigger = here.create_node("AnalogTrigger", "trigger")
    trigger.configure(threshold=2.5, hysteresis=1.0, edge="rising")
    trigger.input.connect(source.output)
    here.start_all_nodes()
    pyacq.wait_for(lambda: source.state == "ready")  # it has come to its end
    here.stop_all_nodes()
    with trigger.output.open() as stream:
        for event in events_in(stream[:]):
            print(event.index, event.label)
            # > 500 sync rises
            # > 1200 sync rises
