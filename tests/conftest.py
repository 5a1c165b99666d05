"""What every test needs."""

import signal

# A shell starts background jobs with SIGINT ignored, and every child inherits that;
# with a handler here, the children of the tests can be interrupted wherever this runs.
signal.signal(signal.SIGINT, signal.default_int_handler)
