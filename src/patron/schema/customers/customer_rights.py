"""The right that most answers about customers need, and how a customer is named."""

from typing import Annotated

from pydantic import Field

from patron.schema.access.access_rights import Action, Area, Right

READ_CUSTOMERS = Right(Action.READ, Area.CUSTOMERS)
CustomerId = Annotated[str, Field(max_length=200, description="Patron's opaque id of the customer.")]
