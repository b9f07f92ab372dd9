"""Another program offers a stream in LSL; here this one does so itself."""

import numpy as np
import pylsl

import pyacq_lab as pyacq

info = pylsl.StreamInfo("Amplifier", "EEG", 2, 250.0, "float32", "amplifier-1")
info.set_channel_labels(["C3", "C4"])
outlet = pylsl.StreamOutlet(info)

with pyacq.LocalNodeGroup() as here:
    inlet = here.create_node("LSLInlet", "inlet")
    inlet.configure(name="Amplifier")
    here.start_all_nodes()
    outlet.push_chunk(np.zeros((50, 2), "float32"))
    pyacq.wait_for(lambda: inlet.output.status().samples == 50)
    print(inlet.output.spec.names, inlet.output.spec.sample_rate)
    # > ('C3', 'C4') 250.0
