"""Python's zstd: its own from 3.14 on, before that the same by a package."""

import sys

if sys.version_info >= (3, 14):
    from compression import zstd as zstd  # noqa: PLC0414 - for the modules that import it from here
else:
    from backports import zstd as zstd  # noqa: PLC0414 - as above
