"""Compiles the rule of a segment to portable SQL: values are parameters, and every condition is true or false.

A comparison with an unknown value is false, so that `not` gives the complement and the algebra of sets holds.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from patron.schema.common_sentences import NO_SEGMENT, REMOVE_ONE_OF_THEM, SEGMENT_CYCLE
from patron.schema.errors import BadSegment
from patron.schema.events import ALIASES
from patron.schema.sentences import Sentence
from patron.schema.spelling import did_you_mean
from patron.schema.tables import SEGMENT_FIELDS
from patron.segments.segment_fields import FIELDS
from patron.segments.segment_rules import (
    AllOf,
    AnyOf,
    Comparison,
    ConsentRule,
    EventRule,
    FieldRule,
    Not,
    PurchaseRule,
    Rule,
    Scalar,
    SegmentField,
    SegmentRule,
    TagRule,
    TraitRule,
)

FIELDS_LISTED = Sentence("fields_listed", "`patron segment fields` lists what a rule may name.")
MANY_CONDITIONS = Sentence(
    "many_conditions", "has more than {count:,} conditions together with the segments that it mentions"
)
DEEP_SEGMENTS = Sentence("deep_segments", "segments mention each other more than {count} deep")
NO_RUN_FIELD = Sentence("no_run_field", "the run {run} has no field {name!r}")
MENTION_FEWER = Sentence("mention_fewer", "Mention fewer segments.")
MENTION_INNER = Sentence("mention_inner", "Mention the innermost ones directly.")

Parameter = str | int | float | bool | datetime
MAX_CONDITIONS = 2_000
"""Conditions of a rule together with those of the segments that it mentions."""
MAX_SEGMENT_DEPTH = 50
"""How deep segments may mention others."""
END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)
ORDER, ORDER_LINE = "Order Completed", "Order Line Completed"
ORDERS = (ORDER, ORDER_LINE)
"""How orders come in: whole, or line by line from files; a rule about the first counts both, each order once."""


@dataclass(frozen=True)
class SegmentScope:
    """What rules are compiled for: a run, the time until which events count, and what the run's tables hold."""

    run_id: str
    as_of: datetime
    """The run's cutoff."""
    at: datetime
    """Events known before this count."""
    features: Mapping[str, SegmentField]
    """Columns of `features`."""
    rules: Mapping[str, Rule]
    """Rules of all segments, by name."""
    purpose_of: Callable[[str], str] = str.lower
    """The purpose that a name of a consent stands for."""
    fields_table: str = SEGMENT_FIELDS.name
    """Where the columns of `segment_fields` are read."""


@dataclass(frozen=True)
class SegmentQuery:
    """SQL with `$name`s, and their values."""

    sql: str
    parameters: Mapping[str, Parameter]
    tags: frozenset[str] = frozenset()
    """Tags whose customers the SQL looks for in `customer_tags`, which whoever runs it hands in."""


def segment_query(rule: Rule, scope: SegmentScope, columns: Iterable[str] = ("customer_id",)) -> SegmentQuery:
    """Query of the members of a rule, with columns of `segment_fields`; not ordered.

    Raises BadSegment for a field or a segment that there is not, and for segments that contain each other.
    """
    compiler = _Compiler(scope)
    condition = compiler.rule(rule)
    names = ", ".join(f'p."{name}"' for name in columns)
    return SegmentQuery(
        f"select {names} from {compiler.customers()} and {condition}", compiler.parameters, frozenset(compiler.tags)
    )


def memberships_query(rules: Sequence[Rule], scope: SegmentScope, columns: Iterable[str]) -> SegmentQuery:
    """Query of all customers with columns of `segment_fields` and, for the n-th rule, whether it selects them: `m0` ...

    Raises BadSegment as `segment_query` does.
    """
    compiler = _Compiler(scope)
    flags = [f"{compiler.rule(rule)} as m{place}" for place, rule in enumerate(rules)]
    listed = ", ".join([*(f'p."{name}"' for name in columns), *flags])
    return SegmentQuery(f"select {listed} from {compiler.customers()}", compiler.parameters, frozenset(compiler.tags))


@dataclass
class _Compiler:
    """One pass over a rule, which gathers parameters, and the features and tags that are needed."""

    scope: SegmentScope
    parameters: dict[str, Parameter] = field(init=False)
    features: set[str] = field(init=False, default_factory=set)
    tags: set[str] = field(init=False, default_factory=set)
    condition_count: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.parameters = {"run_id": self.scope.run_id}

    def customers(self) -> str:
        """SQL after `from`: the customers of the run, as p, with the features that the conditions need, as f."""
        joined = ""
        if self.features:
            listed = ", ".join(f'"{name}"' for name in sorted(self.features))
            joined = f"""
left join (select customer_id, {listed} from features where run_id = $run_id and as_of = $as_of) f
  on f.customer_id = p.customer_id"""
            self.parameters["as_of"] = self.scope.as_of
        return f"{self.scope.fields_table} p{joined}\nwhere p.run_id = $run_id"

    def value(self, value: Parameter) -> str:
        """Add a parameter; return how the SQL names it."""
        name = f"v{len(self.parameters)}"
        self.parameters[name] = value
        return f"${name}"

    def rule(self, rule: Rule) -> str:
        """SQL condition of a whole rule."""
        self.condition_count = 0
        return self.condition(rule, ())

    def condition(self, rule: Rule, path: tuple[str, ...]) -> str:
        """SQL that is true or false, never NULL; `path` names the segments that the rule is within."""
        self.condition_count += 1
        if self.condition_count > MAX_CONDITIONS:
            what = MANY_CONDITIONS(count=MAX_CONDITIONS)
            raise BadSegment(what, where=path[0] if path else "rule", todo=MENTION_FEWER)
        match rule:
            case AllOf(parts):
                return _joined(" and ", [self.condition(part, path) for part in parts], empty="true")
            case AnyOf(parts):
                return _joined(" or ", [self.condition(part, path) for part in parts], empty="false")
            case Not(part):
                return f"not ({self.condition(part, path)})"
            case SegmentRule(name):
                return self.condition(self._rule_of(name, path), (*path, name))
            case _:
                return self._leaf(rule, path)

    def _rule_of(self, name: str, path: tuple[str, ...]) -> Rule:
        if name in path:
            cycle = " -> ".join((*path[path.index(name) :], name))
            raise BadSegment(SEGMENT_CYCLE(cycle=cycle), where=name, todo=REMOVE_ONE_OF_THEM)
        if len(path) >= MAX_SEGMENT_DEPTH:
            what = DEEP_SEGMENTS(count=MAX_SEGMENT_DEPTH)
            raise BadSegment(what, where=path[0], todo=MENTION_INNER)
        if name not in self.scope.rules:
            meant = did_you_mean(name, self.scope.rules)
            raise BadSegment(NO_SEGMENT(name=name), where=path[-1] if path else "rule", todo=meant)
        return self.scope.rules[name]

    def _leaf(
        self, leaf: FieldRule | TraitRule | ConsentRule | PurchaseRule | EventRule | TagRule, path: tuple[str, ...]
    ) -> str:
        match leaf:
            case FieldRule(name, test):
                return self._test(self._column(name, path), test)
            case TraitRule():
                customers, is_in = self._trait(leaf)
            case ConsentRule():
                customers, is_in = self._consent(leaf)
            case PurchaseRule():
                customers, is_in = self._purchase(leaf), True
            case EventRule():
                customers, is_in = self._event(leaf), True
            case TagRule(tags):
                customers, is_in = self._tag(tags), True
        return f"p.customer_id {'' if is_in else 'not '}in ({customers})"

    def _column(self, name: str, path: tuple[str, ...]) -> str:
        if name in FIELDS:
            return f'p."{name}"'
        if name not in self.scope.features:
            meant = did_you_mean(name, [*FIELDS, *self.scope.features])
            todo = meant or FIELDS_LISTED
            what = NO_RUN_FIELD(run=self.scope.run_id, name=name)
            raise BadSegment(what, where=path[-1] if path else "rule", todo=todo)
        self.features.add(name)
        return f'f."{name}"'

    def _test(self, column: str, test: Comparison) -> str:
        if test.op == "is_null":
            return f"({column} is {'' if test.value else 'not '}null)"
        values = test.value if isinstance(test.value, tuple) else (test.value,)
        places = [self.value(value) for value in values]
        compared = {
            "==": f"= {places[0]}",
            "!=": f"<> {places[0]}",
            "in": f"in ({', '.join(places)})",
            "not_in": f"not in ({', '.join(places)})",
            "between": f"between {places[0]} and {places[-1]}",
        }.get(test.op, f"{test.op} {places[0]}")
        return f"coalesce({column} {compared}, false)"

    def _trait(self, leaf: TraitRule) -> tuple[str, bool]:
        """Customers by the last value of a trait, and whether they are meant or all others."""
        last = f"""
select customer_id, value, row_number() over (
  partition by customer_id order by occurred_at desc, known_at desc, event_id desc) as place
from traits where trait = {self.value(leaf.trait)}"""
        if leaf.test.op == "is_null":
            return f"select customer_id from ({last}) t", not leaf.test.value
        column = "try_cast(value as double)" if _is_number(leaf.test) else "value"
        test = Comparison(leaf.test.op, _as_texts(leaf.test.value))
        return f"select customer_id from ({last}) t where place = 1 and {self._test(column, test)}", True

    def _consent(self, leaf: ConsentRule) -> tuple[str, bool]:
        """Customers by their last answer to a purpose, and whether they are meant or all others."""
        last = f"""
select customer_id, is_granted, row_number() over (
  partition by customer_id order by occurred_at desc, is_granted, event) as place
from consents where is_of_user and purpose = {self.value(self.scope.purpose_of(leaf.purpose))}"""
        if leaf.answer == "unknown":
            return f"select customer_id from ({last}) c", False
        return f"select customer_id from ({last}) c where place = 1 and is_granted = {self.value(_is_yes(leaf))}", True

    def _purchase(self, leaf: PurchaseRule) -> str:
        columns = {"product_id": leaf.products, "category": leaf.categories, "brand": leaf.brands}
        wanted = [
            f"{column} in ({', '.join(self.value(value) for value in values)})"
            for column, values in columns.items()
            if values
        ]
        window = self._window(leaf.within_days, "ordered_at")
        where = " and ".join(["not is_refund", f"known_at < {self.value(self.scope.at)}", *window, *wanted])
        return f"select customer_id from order_lines where {where}{self._least('order_id', leaf.least)}"

    def _event(self, leaf: EventRule) -> str:
        """Customers whose tokens events came with, while the token's device was theirs alone."""
        name = ALIASES.get(leaf.event, leaf.event)
        names = ORDERS if name == ORDER else (name,)
        at = self.value(self.scope.at)
        window = self._window(leaf.within_days, "least(e.occurred_at, e.known_at)", "e.")
        wanted = " and ".join([f"e.name in ({', '.join(map(self.value, names))})", f"e.known_at < {at}", *window])
        event = "coalesce(e.order_id, e.event_id)" if name == ORDER else "e.source || '/' || e.event_id"
        return f"""
select i.customer_id from events e
join identities i on i.token = coalesce(e.user_token, e.anonymous_token)
  and e.known_at < coalesce(i.shared_from, {self.value(END_OF_TIME)})
where {wanted} and not coalesce(list_contains(e.flags, 'test'), false)
  and not coalesce(list_contains(e.flags, 'no_consent'), false){self._least(event, leaf.least, "i.")}"""

    def _tag(self, tags: Sequence[str]) -> str:
        self.tags.update(tags)
        return f"select customer_id from customer_tags where tag in ({', '.join(map(self.value, tags))})"

    def _window(self, days: int | None, moment: str, prefix: str = "") -> list[str]:
        """Conditions on a moment; those on `month` and the plain column let readers skip files."""
        if days is None:
            return []
        first = max(self.scope.at - timedelta(days=days), datetime(1900, 1, 1, tzinfo=UTC))
        start = self.value(first)
        within = [f"{moment} >= {start}", f"{moment} < {self.value(self.scope.at)}"]
        if prefix:
            within += [f"{prefix}month >= {self.value(first.strftime('%Y-%m'))}", f"{prefix}occurred_at >= {start}"]
        return within

    def _least(self, counted: str, least: int, prefix: str = "") -> str:
        if least == 1:
            return ""
        return f" group by {prefix}customer_id having count(distinct {counted}) >= {self.value(least)}"


def _joined(word: str, parts: list[str], *, empty: str) -> str:
    return f"({word.join(parts)})" if parts else empty


def _is_yes(leaf: ConsentRule) -> bool:
    return leaf.answer == "granted"


def _is_number(test: Comparison) -> bool:
    values = test.value if isinstance(test.value, tuple) else (test.value,)
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _as_texts(value: Scalar | tuple[Scalar, ...]) -> Scalar | tuple[Scalar, ...]:
    """Values to compare a trait with: it is a text, and true is written so."""
    if isinstance(value, tuple):
        return tuple(str(one).lower() if isinstance(one, bool) else one for one in value)
    return str(value).lower() if isinstance(value, bool) else value
