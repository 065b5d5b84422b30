"""The drawing library for browsers, from the package that draws on the server: one module without any other request."""

import hashlib
from functools import cache

import vl_convert

SNIPPET = "export default vegaEmbed;"
VERSION = hashlib.sha256(f"{vl_convert.__version__} {SNIPPET}".encode()).hexdigest()[:8]
"""Changes with the library, so that browsers fetch it anew."""


@cache
def vega_bundle() -> str:
    """JavaScript module whose default export draws a specification; made at the first use."""
    return vl_convert.javascript_bundle(SNIPPET)
