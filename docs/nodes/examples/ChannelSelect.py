"""Two of four channels, the other way round."""

import pyacq_lab as pyacq

with pyacq.LocalNodeGroup() as here:
    device = here.create_node("SignalGenerator", "device")
    device.configure(channels=[{"name": name} for name in ("C3", "Cz", "C4", "ecg")])
    select = here.create_node("ChannelSelect", "select")
    select.configure(channels=["C4", "C3"])
    select.input.connect(device.output)
    device.initialize()
    select.initialize()
    print(select.output.spec.names)
    # > ('C4', 'C3')
