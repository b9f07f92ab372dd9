"""A device gives 20 samples at a time, and what reads it wants 50. The rest goes out when it ends."""

import pyacq_lab as pyacq

with pyacq.LocalNodeGroup() as here:
    device = here.create_node("SimulatedDevice", "device")
    device.configure(chunk_size=20, end_at=130)
    resize = here.create_node("ChunkResizer", "resize")
    resize.configure(chunk_size=50)
    resize.input.connect(device.output)
    device.initialize()
    resize.initialize()
    with resize.output.open("lossless") as stream:
        here.start_all_nodes()
        lengths = [len(stream.recv(timeout=10)) for _ in range(3)]

print(lengths)
# > [50, 50, 30]
