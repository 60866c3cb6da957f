"""``python -m snn_ssm.results DIR PAGE``: see :mod:`snn_ssm.results.page`."""

import sys

from snn_ssm.results.page import main

sys.exit(main())
