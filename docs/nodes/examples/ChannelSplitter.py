"""One channel to an output of its own, the others to another."""

import pyacq_lab as pyacq

with pyacq.LocalNodeGroup() as here:
    device = here.create_node("SignalGenerator", "device")
    device.configure(channels=[{"name": "ecg"}, {"name": "C3"}, {"name": "C4"}])
    split = here.create_node("ChannelSplitter", "split")
    split.configure(outputs={"heart": ["ecg"], "brain": ["C3", "C4"]})
    split.input.connect(device.output)
    device.initialize()
    split.initialize()
    for name, output in split.outputs.items():
        print(name, output.spec.names)
        # > heart ('ecg',)
        # > brain ('C3', 'C4')
