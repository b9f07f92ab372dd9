"""One notebook starts, watches, wires, records and stops acquisition on all the machines of a lab."""
