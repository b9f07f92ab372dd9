"""A device that loses some samples is recorded, and the recording read back."""

import pyacq_lab as pyacq

with pyacq.LocalNodeGroup() as here:
    device = here.create_node("SimulatedDevice", "device")
    device.configure(n_channels=2, drop=[(100, 150)], end_at=300)
    recorder = here.create_node("Recorder", "recorder")
    recorder.configure(path="run_{date}_{time}")
    recorder.inputs["counter"].connect(device.output)
    here.start_all_nodes()
    pyacq.wait_for(lambda: recorder.input.status().stop == 300)
    here.stop_all_nodes()
    folder = recorder.folder

run = pyacq.open_run(folder)
counter = run["counter"]
print(counter.raw().shape, [(gap.start, gap.stop, gap.reason) for gap in counter.gaps])
# > (300, 2) [(100, 150, 'overrun')]
print(run.ledger("counter").received)
# > 250
