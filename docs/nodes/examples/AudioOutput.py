"""A tone of 440 Hz, on a device without hardware. To hear it leave `device` out."""

import pyacq_lab as pyacq

with pyacq.LocalNodeGroup() as here:
    tone = here.create_node("SignalGenerator", "tone")
    tone.configure(sample_rate=8000.0, frequency=440.0)
    speaker = here.create_node("AudioOutput", "speaker")
    speaker.configure(backend="miniaudio", device="null", gain=0.1)
    speaker.input.connect(tone.output)
    here.start_all_nodes()
    pyacq.wait_for(lambda: speaker.input.status().samples >= 1600)
    here.stop_all_nodes()
    print(f"sound ran out {speaker.underruns} times, {speaker.skipped} samples were left out")
