"""How busy this machine is."""

import pyacq_lab as pyacq

with pyacq.LocalNodeGroup() as here:
    monitor = here.create_node("SystemMonitor", "monitor")
    monitor.configure(sample_rate=50.0)
    here.start_all_nodes()
    memory = monitor.outputs["memory"]
    pyacq.wait_for(lambda: memory.status().samples >= 5)
    with memory.open("lossless", backfill=1.0) as stream:
        used = stream.recv(timeout=10).data[0, 0]
    print(memory.spec.names, memory.spec.units, 0 < used <= 100)
    # > ('used',) % True
