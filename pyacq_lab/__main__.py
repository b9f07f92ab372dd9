"""``python -m pyacq_lab`` is ``pyacq-lab``."""

import sys

from pyacq_lab.cli import main

sys.exit(main())
