"""A stream goes out to LSL, where any program that knows it can read it, such as pylsl's own inlet."""

import pylsl

import pyacq_lab as pyacq

with pyacq.LocalNodeGroup() as here:
    device = here.create_node("SignalGenerator", "device")
    device.configure(sample_rate=500.0, n_channels=4)
    outlet = here.create_node("LSLOutlet", "outlet")
    outlet.configure(name="Generator", type="EEG", source_id="generator-1")
    outlet.input.connect(device.output)
    here.start_all_nodes()
    (found,) = pylsl.resolve_byprop("name", "Generator", timeout=10)
    inlet = pylsl.StreamInlet(found)
    samples, stamps = inlet.pull_chunk(timeout=10, min_samples=20)
    print(found.channel_count(), found.nominal_srate(), len(samples) >= 20)
    # > 4 500.0 True
    inlet.close_stream()
