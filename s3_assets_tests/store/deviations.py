"""Where a server does not do what the contract says, with the reason: the only place.

A test of what is named here must fail on that server: if the server is mended, the suite says so.
"""

from __future__ import annotations

SLASHES = "it keeps keys as paths: empty segments and the first and the last slash go"
MARKER = "it keeps no bytes for a key that ends in a slash"
DOTS = "it keeps keys as paths: the segments . and .. are refused"
BACKSLASH = "it takes a backslash for a slash"
NEWLINE = "its router finds no such path (404)"
WHOLE_VERSION = "it answers with all of an older version, whatever range was asked for"
SPOOLED = "it honours no condition on multipart uploads, so the parts are spooled here and none is open there"

DEVIATIONS: dict[tuple[str, str], str] = {
    ("seaweedfs", "backslash"): BACKSLASH,
    ("seaweedfs", "empty segment"): SLASHES,
    ("seaweedfs", "leading slash"): SLASHES,
    ("seaweedfs", "trailing slash"): MARKER,
    ("seaweedfs", "two trailing slashes"): SLASHES,
    ("seaweedfs", "dot segment"): DOTS,
    ("seaweedfs", "dots segment"): DOTS,
    ("seaweedfs", "last dot"): DOTS,
    ("moto", "newline"): NEWLINE,
    ("moto", "open uploads"): SPOOLED,
    ("ministack", "range of a version"): WHOLE_VERSION,
}
"""(server, name of a key in `KEYS` or of a behaviour) to the reason."""
