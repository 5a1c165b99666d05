"""What every test needs."""

import signal

from hypothesis import settings

# A shell starts background jobs with SIGINT ignored, and every child inherits that;
# with a handler here, the children of the tests can be interrupted wherever this runs.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long one example takes says more of the machine's load than of the code.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
