"""The request to a described provider: placeholders filled in, one value each, encoded by libraries, then signed."""

import hashlib
import hmac
import json
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

from patron.engage.providers.provider_description import (
    PLACEHOLDER,
    ProviderDescription,
    RequestDescription,
    SignatureDescription,
)
from patron.govern.customers.phone_numbers import international_number

UNRESERVED = "-_.~"
PARAMETER = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]{0,63}): *(.*)")
Values = Mapping[str, str]


class Unfit(ValueError):
    """A message that this provider can never be sent; the text has no personal data."""


@dataclass(frozen=True)
class ProviderRequest:
    """A request, ready to be sent."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


def build_request(
    described: RequestDescription, values: Values, signature: SignatureDescription | None = None
) -> ProviderRequest:
    """Fill in a request, and sign it. Raises Unfit for a message that lacks a parameter."""
    url = _fill(described.url, {name: quote(value, safe="") for name, value in values.items()})
    query = {name: _fill(text, values) for name, text in described.query.items()}
    headers = {name: _fill(text, values) for name, text in described.headers.items()}
    if described.user:
        credentials = f"{_fill(described.user, values)}:{_fill(described.password, values)}"
        headers["Authorization"] = f"Basic {b64encode(credentials.encode()).decode()}"
    content = _fill_all(described.body, values)
    form = ""
    body = b""
    if described.format == "form":
        form = _percent_encoded({name: _text(one) for name, one in content.items()})
        body = form.encode()
    elif content:
        body = json.dumps(content, ensure_ascii=False).encode()
    if body:
        kinds = {"json": "application/json; charset=utf-8", "form": "application/x-www-form-urlencoded"}
        headers = {"Content-Type": kinds[described.format]} | headers
    if signature:
        parts = {
            **values,
            "method": described.method,
            "host": urlsplit(url).netloc,
            "path": urlsplit(url).path or "/",
            "query": _percent_encoded(query),
            "form": form,
            "body": body.decode(),
            "body_sha256": hashlib.sha256(body).hexdigest(),
        }
        signed = _fill(signature.text, parts).encode()
        digest = hmac.digest(values[f"secret.{signature.secret}"].encode(), signed, "sha256")
        text = signature.prefix + (digest.hex() if signature.encoding == "hex" else b64encode(digest).decode())
        if signature.header:
            headers[signature.header] = text
        else:
            query[signature.query] = text
    return ProviderRequest(described.method, f"{url}?{_percent_encoded(query)}" if query else url, headers, body)


def time_text(described: ProviderDescription, at: datetime) -> str:
    """A time as the provider wants it."""
    if described.timestamp == "iso":
        return at.isoformat(timespec="seconds").replace("+00:00", "Z")
    return str(int(at.timestamp() * (1000 if described.timestamp == "unix_ms" else 1)))


def phone_number(text: str, country_code: str) -> str:
    """An international telephone number. Raises Unfit for one that is none."""
    number = international_number(text, country_code)
    if not number:
        raise Unfit("not an international number (country_code of the description is for those without one)")
    return number


def parameters_of(text: str) -> dict[str, str]:
    """Parameters of a template message: the lines `key: value` of its text. Raises Unfit for a key that is there twice.

    Why not the last one: a name with a line break in it must not replace a parameter.
    """
    parameters: dict[str, str] = {}
    for line in text.splitlines():
        if match := PARAMETER.fullmatch(line):
            if match[1] in parameters:
                raise Unfit("the text has a parameter twice")
            parameters[match[1]] = match[2].strip()
    return parameters


def parameters_json(parameters: Mapping[str, str]) -> str:
    """All parameters as one JSON text, as some providers want them in a field."""
    return json.dumps(parameters, ensure_ascii=False, separators=(",", ":"))


def _fill(text: str, values: Values) -> str:
    """A text with its placeholders filled in, once: what is filled in stays as it is."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in values:
            raise Unfit(f"the text has no line `{name.removeprefix('parameters.')}: ...`")
        return values[name]

    return PLACEHOLDER.sub(value, text)


def _fill_all(content: Any, values: Values) -> Any:
    if isinstance(content, str):
        return _fill(content, values)
    if isinstance(content, dict):
        return {name: _fill_all(one, values) for name, one in content.items()}
    return [_fill_all(one, values) for one in content] if isinstance(content, list) else content


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _percent_encoded(fields: Mapping[str, str]) -> str:
    """Fields sorted by name, percent-encoded (RFC 3986), as they are sent and signed."""
    pairs = sorted((quote(name, safe=UNRESERVED), quote(value, safe=UNRESERVED)) for name, value in fields.items())
    return "&".join(f"{name}={value}" for name, value in pairs)
