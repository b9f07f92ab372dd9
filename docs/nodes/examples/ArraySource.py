"""An array is played twice, as fast as it is taken. What an output gave last can be read when it is over."""

import numpy as np

import pyacq_lab as pyacq

noise = np.random.default_rng(0).standard_normal((1000, 16))

with pyacq.LocalNodeGroup() as here:
    source = here.create_node("ArraySource", "source")
    source.configure(data=noise, sample_rate=1000.0, units="uV", loops=2, realtime=False)
    here.start_all_nodes()
    pyacq.wait_for(lambda: source.state == "ready")  # it has come to its end
    with source.output.open() as stream:
        played = stream[:]

print(played.shape, np.array_equal(played[1000:], noise))
# > (2000, 16) True
