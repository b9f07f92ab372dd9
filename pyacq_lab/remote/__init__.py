"""Things in other processes as if they were here; shared by managers and nodegroups."""
