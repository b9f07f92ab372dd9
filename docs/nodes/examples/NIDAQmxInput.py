"""Two voltages of a device. Where there is no driver or no such device, it is the start that says so."""

import pyacq_lab as pyacq

with pyacq.LocalNodeGroup() as here:
    daq = here.create_node("NIDAQmxInput", "daq")
    daq.configure(channels=["Dev1/ai0", "Dev1/ai1"], sample_rate=10_000.0, min_val=-5.0, max_val=5.0)
    daq.initialize()
    print(daq.output.spec.names, daq.output.spec.units)
    # > ('Dev1/ai0', 'Dev1/ai1') V
    try:
        daq.start()
        pyacq.wait_for(lambda: daq.output.status().samples)
    except pyacq.PyacqError as error:
        reason = str(error)
