"""A server on this machine stands for the Open Ephys GUI and sends a matrix of two channels."""

import struct

import numpy as np

import pyacq_lab as pyacq
from pyacq_lab.testing import LoopbackServer

raw = np.full((2, 100), 32768 + 200, "<u2")  # channels first, as the protocol has it
header = struct.pack("<iihiii", 0, raw.nbytes, 2, raw.itemsize, *raw.shape)

with LoopbackServer() as server, pyacq.LocalNodeGroup() as here:
    server.greeting = header + raw.tobytes()
    ephys = here.create_node("EphysSocket", "ephys")
    ephys.configure(host="127.0.0.1", port=server.port, sample_rate=30_000.0, scale=0.195, offset=32768)
    here.start_all_nodes()
    pyacq.wait_for(lambda: ephys.output.status().samples == 100)
    with ephys.output.open() as stream:
        print(stream.get_data(0, 1, physical=True).round(3).tolist(), stream.spec.units)
        # > [[39.0, 39.0]] uV
