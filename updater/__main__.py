"""`python -m updater` is `osupdate`."""

import sys

from updater.cli import main

sys.exit(main())
