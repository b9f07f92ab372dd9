"""A simulated Recorder counts, and one of its blocks is lost. For a true one give `host` alone."""

import pyacq_lab as pyacq
from pyacq_lab.testing import SimulatedRecorder

with SimulatedRecorder(n_channels=3, sample_rate=500.0) as recorder, pyacq.LocalNodeGroup() as here:
    recorder.start()
    recorder.send_block()
    eeg = here.create_node("BrainVisionRDA", "eeg")
    eeg.configure(host="127.0.0.1", port=recorder.port)
    eeg.initialize()
    with eeg.output.open("lossless") as stream:
        eeg.start()
        recorder.wait_client()
        recorder.skip_block()
        recorder.send_block()
        for item in (stream.recv(timeout=10) for _ in range(3)):
            print(type(item).__name__, item.start, item.stop)
            # > Chunk 0 10
            # > Gap 10 20
            # > Chunk 20 30
    print(eeg.output.spec.names, eeg.output.spec.units)
    # > ('Ch0', 'Ch1', 'Ch2') uV
