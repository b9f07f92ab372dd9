"""``python -m pyacq_lab.host tcp://10.0.0.53:8000``."""

import sys

from pyacq_lab.host.program import main

sys.exit(main())
