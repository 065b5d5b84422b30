"""The key in the header of a request."""

from base64 import b64decode


def basic_key(header: str) -> str:
    """Write key of `Authorization: Basic`, with or without its colon; '' when there is none."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return b64decode(value.strip() + "==").decode().partition(":")[0]
    except ValueError:
        return ""


def request_key(header: str) -> str:
    """Key of `Authorization: Basic` or `Bearer`; '' when there is none."""
    scheme, _, value = header.partition(" ")
    return value.strip() if scheme.lower() == "bearer" else basic_key(header)
