"""Lists page by page: each page's `next_cursor` is the next one's `cursor`."""

from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any

from patron_client.rest import AuthenticatedClient


def pages(operation: ModuleType, client: AuthenticatedClient, **arguments: Any) -> Iterator[Any]:
    """Every page of a list, such as `pages(list_customers, client, limit=1000)`; raises Refusal."""
    cursor = ""
    while cursor is not None:
        page = operation.sync(client=client, cursor=cursor, **arguments)
        yield page
        cursor = page.next_cursor


async def async_pages(operation: ModuleType, client: AuthenticatedClient, **arguments: Any) -> AsyncIterator[Any]:
    """The same, asynchronously."""
    cursor = ""
    while cursor is not None:
        page = await operation.asyncio(client=client, cursor=cursor, **arguments)
        yield page
        cursor = page.next_cursor
