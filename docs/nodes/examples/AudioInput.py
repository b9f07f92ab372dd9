"""A tenth of a second from a device without hardware. For the default microphone leave `device` out."""

import pyacq_lab as pyacq

with pyacq.LocalNodeGroup() as here:
    microphone = here.create_node("AudioInput", "microphone")
    microphone.configure(backend="miniaudio", device="null", sample_rate=8000.0)
    here.start_all_nodes()
    pyacq.wait_for(lambda: microphone.output.status().samples >= 800)
    with microphone.output.open() as stream:
        sound = stream[:800]
    here.stop_all_nodes()

print(sound.shape, abs(sound).max())
# > (800, 1) 0.0
