"""`python -m tritonclient.cli` is the `tritonclient` command."""

import sys

from . import main

sys.exit(main())
