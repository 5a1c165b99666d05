"""zlib-ng where it is installed, else zlib: one format, but twice the speed.

`QUICK` is the level that makes packs of about the size that zlib's level 1 makes.
"""

try:
    from zlib_ng import zlib_ng as library

    QUICK = 3
except ImportError:
    import zlib as library  # type: ignore[no-redef]

    QUICK = 1

compressobj = library.compressobj
decompressobj = library.decompressobj
Damaged: type[Exception] = library.error  # type: ignore[assignment] # their stub
