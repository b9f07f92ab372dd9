"""BrainFlow's synthetic board, and a marker put into its stream."""

import pyacq_lab as pyacq
from pyacq_lab.model.events import events_in

with pyacq.LocalNodeGroup() as here:
    board = here.create_node("BrainFlowBoard", "board")
    board.configure(board="SYNTHETIC_BOARD", signals=["eeg", "accel"])
    here.start_all_nodes()
    board.insert_marker(7)
    markers = board.outputs["markers"]
    pyacq.wait_for(lambda: markers.status().samples)
    with markers.open() as stream:
        (marker,) = events_in(stream[:])
    here.stop_all_nodes()
    print(board.outputs["eeg"].spec.n_channels, board.outputs["eeg"].spec.units, marker.code)
    # > 16 uV 7
