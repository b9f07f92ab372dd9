"""An electrocardiogram that a package brings along, as fast as it is taken."""

import pyacq_lab as pyacq

with pyacq.LocalNodeGroup() as here:
    ecg = here.create_node("Replay", "ecg")
    ecg.configure(dataset="ecg", realtime=False)
    here.start_all_nodes()
    pyacq.wait_for(lambda: ecg.state == "ready")  # it has come to its end
    spec = ecg.output.spec
    with ecg.output.open() as stream:
        print(stream[:].shape, spec.sample_rate, spec.names)
        # > (1024, 1) 360.0 ('ecg',)
