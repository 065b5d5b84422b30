"""Addresses of pages that look back: whatever such a page leads to is shown as of the same run."""

import re
from html import escape, unescape
from urllib.parse import quote

PARAMETER = "as_of"
"""Name of a past run, or its cutoff with a time zone."""
PRESENT = ("/static/", "/sign-in", "/sign-out", "/account", "/openapi.json", "/health", "/metrics")
"""How addresses begin that have nothing to do with a run."""
BACK = "data-present"
"""Marks a link that leads back to the present."""
HREF = re.compile(r'(<a\b[^>]*?|<link rel="alternate"[^>]*?|<image\b[^>]*?|<g\b[^>]*?)\b(href)="(/[^"]*)"')
FORM = re.compile(r'<form\b[^>]*\baction="(/[^"]*)"[^>]*>')


def with_as_of(address: str, run_id: str) -> str:
    """An address of ours as of a run; one that has nothing to do with runs stays as it is."""
    if address.startswith(PRESENT) or address.startswith("//"):
        return address
    path, hash_mark, fragment = address.partition("#")
    mark = "&" if "?" in path else "?"
    return f"{path}{mark}{PARAMETER}={quote(run_id)}{hash_mark}{fragment}"


def page_as_of(page: str, run_id: str) -> str:
    """A page whose links and forms lead to pages as of a run."""
    page = HREF.sub(lambda link: _link(link, run_id), page)
    return FORM.sub(lambda form: _form(form, run_id), page)


def _link(link: re.Match[str], run_id: str) -> str:
    if BACK in link[1]:
        return link[0]
    return f'{link[1]}{link[2]}="{escape(with_as_of(unescape(link[3]), run_id))}"'


def _form(form: re.Match[str], run_id: str) -> str:
    """A form by GET gets a field, as browsers drop what its address has; one by POST the parameter."""
    if BACK in form[0]:
        return form[0]
    if 'method="post"' not in form[0]:
        return f'{form[0]}<input type="hidden" name="{PARAMETER}" value="{escape(run_id)}">'
    address = with_as_of(unescape(form[1]), run_id)
    return form[0].replace(f'action="{form[1]}"', f'action="{escape(address)}"')
