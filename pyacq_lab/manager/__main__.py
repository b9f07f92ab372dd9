"""``python -m pyacq_lab.manager``: started by a notebook, which speaks to it over standard input."""

import sys

from pyacq_lab.manager.program import main

sys.exit(main())
