"""The plug is pulled while it runs: the node is faulted and says why, and configuring it brings it back."""

import pyacq_lab as pyacq

with pyacq.LocalNodeGroup() as here:
    device = here.create_node("SimulatedDevice", "device")
    device.configure(sample_rate=1000.0)
    here.start_all_nodes()
    pyacq.wait_for(lambda: device.output.status().samples)
    device.unplug()
    pyacq.wait_for(lambda: device.state == "faulted")
    print("unplugged" in device.status().reason)
    # > True
    device.configure(sample_rate=1000.0)
    here.start_all_nodes()
    print(device.state)
    # > running
