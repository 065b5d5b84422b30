"""Which customers a reader sees: of others a restricted reader learns nothing, not even that they exist."""

from collections.abc import Iterable

import pyarrow as pa
from fastapi import Request

from patron.govern.access.customer_scope import refuse_hidden
from patron.govern.access.visible_customers import VisibleCustomers, visible_customers
from patron.schema.access.access_rights import Actor

PARAMETER = "customer_id"
"""Name of every path parameter, form field and query parameter that holds an opaque id."""


def visible_of(request: Request) -> VisibleCustomers | None:
    """Customers whom the reader sees; None is everybody."""
    actor: Actor | None = request.state.actor
    return visible_customers(request.app.state.answers.shop, actor) if actor else None


def rows_of(visible: VisibleCustomers | None) -> pa.Table | None:
    """Their ids as a table with customer_id, as answers take them; None is everybody."""
    return visible.rows if visible is not None else None


def is_restricted(request: Request) -> bool:
    """Whether the reader sees some customers only."""
    actor: Actor | None = request.state.actor
    return actor is not None and bool(actor.segment)


def require_visible_customers(request: Request) -> None:
    """Refuse a request that names a customer whom the reader does not see: in its path, query or form.

    Every route does it. Raises NotFound, as for a customer whom nobody knows.
    """
    form = getattr(request.state, "form", None)
    customer_ids = [one for name, one in request.path_params.items() if name == PARAMETER]
    customer_ids += request.query_params.getlist(PARAMETER)
    customer_ids += [one for one in form.getlist(PARAMETER) if isinstance(one, str)] if form else []
    if customer_ids:
        require_visible(request, customer_ids)


def require_visible(request: Request, customer_ids: Iterable[str]) -> None:
    """Refuse customers whom the reader does not see. Raises NotFound, as for customers whom nobody knows."""
    refuse_hidden(visible_of(request), customer_ids)
