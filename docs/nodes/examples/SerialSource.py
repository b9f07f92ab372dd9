"""A line that sends back what it was sent stands for an instrument that talks when it is told to start."""

import pyacq_lab as pyacq

with pyacq.LocalNodeGroup() as here:
    scale = here.create_node("SerialSource", "scale")
    scale.configure(
        port="loop://",  # on your machine: "/dev/ttyUSB0", "COM3"
        n_channels=2,
        sample_rate=10.0,
        units="g",
        leave_first=False,
        send_at_start="1.5,-3\n2.5,-2\n",
    )
    here.start_all_nodes()
    pyacq.wait_for(lambda: scale.output.status().samples == 2)
    with scale.output.open() as stream:
        print(stream[:].tolist())
        # > [[1.5, -3.0], [2.5, -2.0]]
