"""Bit 1 of a port goes up and down. The class works by itself, too, without a node."""

import numpy as np

import pyacq_lab as pyacq
from pyacq_lab.model.events import events_in
from pyacq_lab.processing import DigitalTrigger

trigger = DigitalTrigger(DigitalTrigger.settings_type.checked(bits=[1], edge="both"))
port = pyacq.StreamSpec.of(
    "uint8", streamtype="digitalsignal", shape=(-1, 1), sample_rate=1000.0, channel_names=["port"]
)
trigger.describe({"in": port})
states = np.array([[0b01], [0b11], [0b10], [0b00]], "uint8")
for event in events_in(trigger.process(pyacq.Chunk(0, states), "in").data):
    print(event.index, event.label)
    # > 1 port.1 rises
    # > 3 port.1 falls
