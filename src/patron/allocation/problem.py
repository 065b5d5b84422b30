"""What is to be allocated: net value and cost of every offer for every customer, and constraints; read, or refused."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.schema.errors import BadAllocation
from patron.schema.frames import table_without_index
from patron.schema.numbers import Numbers

Codes = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
NONE = -1
"""The choice of a customer who gets nothing."""
ROUNDING = 1e-12
"""By how much of a limit sums of many costs may miss it: less than a cent of ten billion."""


@dataclass(frozen=True, eq=False)
class AllocationProblem:
    """Customers x offers, and limits in the order budget, stock of each offer, contacts, floors.

    A customer's offer uses its cost of the budget, 1 of its stock, 1 of the contacts, and -1 of each floor that holds
    the customer; the limit of a floor is the negative of its least number. Where nothing limits it is infinite.
    """

    net: Numbers
    """-inf where a customer is not eligible."""
    cost: Numbers
    """0 where a customer is not eligible."""
    limits: Numbers
    members: Flags
    """Customers x floors."""
    offers: tuple[str, ...]
    """Names of the offers, in the order of the columns."""
    ids: tuple[Any, ...] | pa.ChunkedArray | pa.Array | None

    @property
    def is_limited(self) -> Flags:
        """Which of the limits are finite."""
        return np.isfinite(self.limits)

    @property
    def names(self) -> tuple[str, ...]:
        """What each limit is called in errors and prices."""
        offers, floors = self.net.shape[1], self.members.shape[1]
        stock, rest = (f"stock[{at}]" for at in range(offers)), (f"floors[{at}]" for at in range(floors))
        return ("budget", *stock, "contacts", *rest)

    def usage(self, choice: Codes) -> Numbers:
        """How much a choice uses of each limit."""
        at = np.flatnonzero(choice >= 0)
        offer = choice[at]
        return np.concatenate(
            [
                [self.cost[at, offer].sum()],
                np.bincount(offer, minlength=self.net.shape[1]),
                [len(at)],
                -self.members[at].sum(axis=0).astype(np.float64),
            ]
        )

    def value(self, choice: Codes) -> float:
        """Net value of a choice."""
        at = np.flatnonzero(choice >= 0)
        return float(self.net[at, choice[at]].sum())

    def excess(self, choice: Codes) -> Numbers:
        """By how much a choice breaks each limit, 0 where it holds."""
        limits = np.where(self.is_limited, self.limits, 0.0)
        over = np.where(self.is_limited, self.usage(choice) - limits, 0.0)
        return np.where(over > ROUNDING * np.abs(limits), over, 0.0)

    @classmethod
    def of(  # noqa: PLR0913 - one argument for each constraint
        cls,
        net: Any,
        cost: Any,
        *,
        budget: float | None = None,
        stock: Any = None,
        contacts: float | None = None,
        floors: Any = None,
        eligible: Any = None,
        ids: Any = None,
    ) -> "AllocationProblem":
        """Read arrays or frames, and drop limits that cannot bind. Raises BadAllocation."""
        values, offers = _matrix(net, "net")
        costs, others = _matrix(cost, "cost")
        if values.shape != costs.shape:
            raise BadAllocation(f"{costs.shape} customers and offers, where net has {values.shape}", where="cost")
        if offers != others:
            if set(offers) != set(others):
                raise BadAllocation(f"offers {', '.join(others)}, where net has {', '.join(offers)}", where="cost")
            costs = costs[:, [others.index(name) for name in offers]]
        values, costs = _eligible_only(values, costs, eligible)
        customers, count = values.shape
        members, least = _floors(floors, customers)
        limits = np.concatenate(
            [
                [_limit(budget, "budget")],
                _stock(stock, count),
                [np.floor(_limit(contacts, "contacts"))],
                np.where(least > 0, -least, np.inf),
            ]
        )
        if ids is not None and len(ids) != customers:
            raise BadAllocation(f"{len(ids):,} ids of {customers:,} customers", where="ids")
        problem = cls(values, costs, limits, members, offers, ids)
        limits[: count + 2][limits[: count + 2] >= problem._most_usage()] = np.inf
        return problem

    def _most_usage(self) -> Numbers:
        """The most that could be used of the budget, each stock and the contacts."""
        eligible = np.isfinite(self.net)
        budget = self.cost.max(axis=1, initial=0.0).sum() * (1 + ROUNDING)
        return np.concatenate([[budget], eligible.sum(axis=0), [eligible.any(axis=1).sum()]])


def _matrix(values: Any, name: str) -> tuple[Numbers, tuple[str, ...]]:
    """Customers x offers, and the names of the offers: those of a frame's columns, or numbers."""
    if hasattr(values, "__arrow_c_stream__") or isinstance(values, dict):
        table = table_without_index(values)
        columns = [np.asarray(column.to_numpy(), dtype=np.float64) for column in table.columns]
        return np.column_stack(columns) if columns else np.zeros((table.num_rows, 0)), tuple(table.column_names)
    try:
        numbers = np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadAllocation(f"not an array of numbers: {error}", where=name) from error
    if numbers.ndim == 1 and not len(numbers):
        numbers = numbers.reshape(0, 0)
    if numbers.ndim != 2:
        todo = "Pass one row a customer and one column an offer."
        raise BadAllocation(f"an array of {numbers.ndim} dimensions", where=name, todo=todo)
    return numbers, tuple(str(at) for at in range(numbers.shape[1]))


def _eligible_only(net: Numbers, cost: Numbers, eligible: Any) -> tuple[Numbers, Numbers]:
    """Net values and costs; -inf and 0 where a customer is not eligible."""
    allowed = None
    if eligible is not None:
        allowed = np.asarray(eligible)
        if allowed.dtype != np.bool_ or allowed.shape not in {net.shape, net.shape[:1]}:
            what = f"{allowed.dtype} of shape {allowed.shape}"
            todo = f"Pass True or False for each of {net.shape} customers and offers, or for each customer."
            raise BadAllocation(what, where="eligible", todo=todo)
        allowed = np.broadcast_to(allowed if allowed.ndim == 2 else allowed[:, None], net.shape)
        net, cost = np.where(allowed, net, 0.0), np.where(allowed, cost, 0.0)
    for values, name in ((net, "net"), (cost, "cost")):
        wrong = values.size - int(np.isfinite(values).sum())
        if wrong:
            todo = "Exclude offers that a customer cannot have by `eligible`."
            raise BadAllocation(f"{wrong:,} values are missing or infinite", where=name, todo=todo)
    if (cost < 0).any():
        at = np.argwhere(cost < 0)[0]
        what = f"{int((cost < 0).sum()):,} costs are below 0, such as {cost[*at]:g} in row {at[0]}"
        raise BadAllocation(what, where="cost", todo="Count what an offer earns in net, and what it uses up in cost.")
    return (net, cost) if allowed is None else (np.where(allowed, net, -np.inf), cost)


def _limit(value: float | None, name: str) -> float:
    if value is None:
        return np.inf
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise BadAllocation(f"{value!r} is not a number", where=name) from error
    if not number >= 0:
        raise BadAllocation(f"{number:g} is not 0 or more", where=name, todo="Pass None for no limit.")
    return number


def _stock(stock: Any, offers: int) -> Numbers:
    if stock is None:
        return np.full(offers, np.inf)
    values = list(stock) if np.ndim(stock) == 1 else []
    if np.ndim(stock) != 1 or len(values) != offers:
        todo = f"Pass one count for each of {offers} offers, None for no limit."
        raise BadAllocation(f"{np.shape(stock)} is not the shape of one count for each offer", where="stock", todo=todo)
    return np.floor(np.array([_limit(one, f"stock[{at}]") for at, one in enumerate(values)], dtype=np.float64))


def _floors(floors: Any, customers: int) -> tuple[Flags, Numbers]:
    """Customers x floors, and the least number of offers of each."""
    pairs = [] if floors is None else list(floors)
    members, least = np.zeros((customers, len(pairs)), dtype=np.bool_), np.zeros(len(pairs))
    for at, pair in enumerate(pairs):
        where, todo = f"floors[{at}]", "Pass pairs of a mask of customers and the least number of offers among them."
        try:
            mask, count = pair
        except (TypeError, ValueError) as error:
            raise BadAllocation("not a pair", where=where, todo=todo) from error
        mask = np.asarray(mask)
        if mask.dtype != np.bool_ or mask.shape != (customers,):
            raise BadAllocation(f"a mask of {mask.dtype} and shape {mask.shape}", where=where, todo=todo)
        least[at] = np.ceil(_limit(count, where))
        if not np.isfinite(least[at]):
            raise BadAllocation("the least number of offers is infinite", where=where, todo=todo)
        members[:, at] = mask
    return members, least
