"""osupdate: updates whole operating systems from git."""

__version__ = "0.1.0"
