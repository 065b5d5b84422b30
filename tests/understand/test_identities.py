"""Who is whom: what links ids to one customer, what does not, and how a link is undone."""

# ruff: noqa: S106 - tokens of made-up people are no passwords

from hashlib import md5

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patron import understand
from patron.schema.tables import EVENTS
from patron.storage.runs.runs import Run
from patron.understand.facts import build_facts
from patron.understand.facts.aliases import MAX_USER_IDS
from patron.understand.facts.identities import MAX_CONTACTS, MAX_DEVICES_PER_WEEK


def customer_id_of(token):
    return md5(token.encode(), usedforsecurity=False).hexdigest()


def identities_by_token(pipeline, events, **more):
    """Rows of `identities` by token."""
    return {
        row["token"]: row for row in pipeline.facts(events, names=("identities",), **more)["identities"].to_pylist()
    }


def linked_token(pipeline, *events):
    """Token to the token whose customer it is."""
    rows = identities_by_token(pipeline, events)
    by_customer = {customer_id_of(token): token for token in rows}
    return {token: by_customer[row["customer_id"]] for token, row in rows.items()}


class EventBuilder:
    """Builds events that link ids; every event has its own id."""

    def __init__(self, pipeline):
        self.pipeline, self.count = pipeline, 0

    def event(self, name, at, **more):
        self.count += 1
        return self.pipeline.event(f"e{self.count}", name, at, **more)

    def view(self, at, user, device=None):
        return self.event("Product Viewed", at, user_token=user, anonymous_token=device)

    def contact(self, at, *, user=None, device=None, email=None, phone=None):
        more = {"user_token": user, "anonymous_token": device, "email_token": email, "phone_token": phone}
        return self.event("Identify", at, **more)

    def alias(self, at, user, previous):
        return self.event("Alias", at, user_token=user, anonymous_token=f"a-{previous}", previous_token=previous)

    def unlink(self, at, **which):
        return self.event("Identity Unlinked", at, **which)


@pytest.fixture
def builder(pipeline):
    return EventBuilder(pipeline)


def test_a_visitor_becomes_the_customer_it_signs_in_as(pipeline, builder):
    rows = identities_by_token(pipeline, [builder.view(1, None, "a"), builder.view(2, "u", "a")])
    assert (rows["a"]["customer_id"], rows["a"]["known_at"], rows["a"]["rule"]) == (
        customer_id_of("u"),
        pipeline.day(2),
        "sign_in",
    )
    assert (rows["u"]["customer_id"], rows["u"]["rule"]) == (customer_id_of("u"), None)


def test_an_alias_of_a_visitor_links_it_and_one_of_an_earlier_user_id_joins_both_under_the_older(pipeline, builder):
    events = [
        builder.view(1, "old", "a"),
        builder.view(2, "new", "b"),
        builder.alias(3, "new", "old"),
        builder.alias(4, "new", "v"),
    ]
    rows = identities_by_token(pipeline, events)
    assert {rows[token]["customer_id"] for token in ("old", "new", "a", "b", "a-v")} == {customer_id_of("old")}
    assert (rows["new"]["rule"], rows["new"]["known_at"]) == ("alias", pipeline.day(3))
    assert rows["b"]["known_at"] == pipeline.day(3)
    assert rows["a"]["known_at"] == pipeline.day(1)


def test_a_merge_keeps_orders_and_traits_of_both(pipeline, builder):
    events = [
        pipeline.event("o1", "Order Completed", 1, user_token="old", order_id="1", revenue_cents=100),
        pipeline.event("o2", "Order Completed", 2, user_token="new", order_id="2", revenue_cents=200),
        pipeline.event("t1", "Identify", 3, user_token="old", traits='{"income":"low","region":"north"}'),
        pipeline.event("t2", "Identify", 2, user_token="new", traits='{"income":"high","country":"NL"}'),
        builder.alias(5, "new", "old"),
    ]
    tables = pipeline.facts(events)
    [customer] = [row for row in tables["customers"].to_pylist() if row["order_count"]]
    assert (customer["customer_id"], customer["order_count"], customer["paid_cents"]) == (customer_id_of("old"), 2, 300)
    before, after = pipeline.features(tables, [4, 6])
    declared = ("order_count_lifetime", "declared_income", "declared_region", "declared_country")
    assert [before[name] for name in declared] == [1, "low", "north", None]
    assert [after[name] for name in declared] == [2, "low", "north", "NL"]


def test_users_of_one_device_stay_apart_and_share_nothing_afterwards(pipeline, builder):
    events = [builder.view(1, "u", "pos"), builder.view(2, "w", "pos"), builder.view(3, "x", "pos")]
    rows = identities_by_token(pipeline, events)
    assert {token: rows[token]["customer_id"] for token in "uwx"} == {token: customer_id_of(token) for token in "uwx"}
    assert (rows["pos"]["customer_id"], rows["pos"]["shared_from"]) == (customer_id_of("u"), pipeline.day(2))


def test_a_device_of_two_ids_of_one_person_is_not_shared(pipeline, builder):
    events = [
        builder.view(1, "old", "a"),
        builder.view(1, "new"),
        builder.alias(2, "new", "old"),
        builder.view(3, "new", "a"),
    ]
    assert identities_by_token(pipeline, events)["a"]["shared_from"] is None
    later = [builder.view(1, "old", "a"), builder.view(2, "new", "a"), builder.alias(3, "new", "old")]
    assert identities_by_token(pipeline, later)["a"]["shared_from"] == pipeline.day(2)


def test_a_later_merge_with_an_older_user_does_not_change_who_shared_a_device(pipeline, builder):
    joined = [builder.view(1, "oldest"), builder.view(2, "old"), builder.view(2, "new"), builder.alias(3, "new", "old")]
    events = [*joined, builder.view(4, "old", "a"), builder.view(5, "new", "a"), builder.alias(6, "old", "oldest")]
    row = identities_by_token(pipeline, events)["a"]
    assert (row["customer_id"], row["known_at"], row["shared_from"]) == (
        customer_id_of("oldest"),
        pipeline.day(6),
        None,
    )


def test_a_visitor_with_a_customers_email_or_phone_is_that_customer(pipeline, builder):
    events = [
        builder.contact(1, user="u", email="m", phone="f"),
        builder.contact(2, device="a", email="m"),
        builder.contact(3, device="b", phone="f"),
        builder.contact(4, device="c", email="nobody's"),
    ]
    rows = identities_by_token(pipeline, events)
    assert {token: (row["customer_id"], row["rule"]) for token, row in rows.items() if not row["is_user"]} == {
        "a": (customer_id_of("u"), "email"),
        "b": (customer_id_of("u"), "phone"),
        "c": (customer_id_of("c"), None),
    }


def test_two_users_with_one_email_stay_apart_and_it_links_nobody_afterwards(pipeline, builder):
    events = [
        builder.contact(1, user="u", email="m"),
        builder.contact(2, device="early", email="m"),
        builder.contact(3, user="w", email="m"),
        builder.contact(4, device="late", email="m"),
    ]
    assert linked_token(pipeline, *events) == {"u": "u", "w": "w", "early": "u", "late": "late"}


def test_a_weaker_link_to_somebody_else_is_ignored_and_one_as_strong_is_not(pipeline, builder):
    known = [builder.contact(1, user="w", email="m", phone="f"), builder.view(2, "u", "a")]
    rows = identities_by_token(pipeline, [*known, builder.contact(3, device="a", email="m")])
    assert (rows["a"]["customer_id"], rows["a"]["shared_from"]) == (customer_id_of("u"), None)
    by_phone = [builder.contact(1, user="x", email="n"), builder.contact(3, device="b", email="n")]
    rows = identities_by_token(pipeline, [*known, *by_phone, builder.contact(4, device="b", phone="f")])
    assert (rows["b"]["customer_id"], rows["b"]["shared_from"]) == (customer_id_of("x"), None)
    rows = identities_by_token(
        pipeline, [*known, *by_phone, builder.contact(4, device="b", phone="f"), builder.view(5, "u", "b")]
    )
    assert (rows["b"]["customer_id"], rows["b"]["shared_from"]) == (customer_id_of("x"), pipeline.day(5))


def test_links_above_the_limits_do_not_count(pipeline, builder):
    addresses = [builder.contact(1 + n, user="u", email=f"m{n}") for n in range(MAX_CONTACTS + 1)]
    visitors = [builder.contact(20 + 7 * n, device=f"a{n}", email=f"m{n}") for n in range(MAX_CONTACTS + 1)]
    linked = linked_token(pipeline, *addresses, *visitors)
    assert [linked[f"a{n}"] for n in range(MAX_CONTACTS + 1)] == ["u"] * MAX_CONTACTS + [f"a{MAX_CONTACTS}"]
    devices = [builder.view(3 + n / 100, "w", f"d{n}") for n in range(MAX_DEVICES_PER_WEEK + 1)]
    linked = linked_token(pipeline, *devices, builder.view(3 + 7, "w", "next week"))
    assert sum(linked[f"d{n}"] == "w" for n in range(MAX_DEVICES_PER_WEEK + 1)) == MAX_DEVICES_PER_WEEK
    assert linked["next week"] == "w"
    ids = [builder.view(1 + n, f"u{n}") for n in range(MAX_USER_IDS + 2)]
    linked = linked_token(pipeline, *ids, *(builder.alias(20 + n, f"u{n}", "u0") for n in range(1, MAX_USER_IDS + 2)))
    assert sum(linked[f"u{n}"] == "u0" for n in range(MAX_USER_IDS + 2)) == MAX_USER_IDS


def test_an_unlinked_user_id_is_a_customer_of_its_own_as_if_the_link_had_never_been_sent(pipeline, builder):
    apart = [builder.view(1, "old", "a"), builder.view(2, "new", "b")]
    events = [*apart, builder.alias(3, "new", "old"), builder.unlink(4, user_token="new")]
    rows = identities_by_token(pipeline, events)
    assert {token: rows[token] for token in ("old", "new", "a", "b")} == identities_by_token(pipeline, apart)
    relinked = linked_token(pipeline, *events, builder.alias(5, "new", "old"))
    assert relinked["new"] == relinked["b"] == "old"


def test_an_unlinked_visitor_leaves_and_may_sign_in_again_but_contacts_never_bring_it_back(pipeline, builder):
    linked = [builder.contact(1, user="u", email="m"), builder.view(2, "u", "a")]
    gone = [*linked, builder.unlink(3, anonymous_token="a"), builder.contact(4, device="a", email="m")]
    assert linked_token(pipeline, *gone) == {"u": "u", "a": "a"}
    rows = identities_by_token(pipeline, [*gone, builder.view(5, "w", "a")])
    assert (rows["a"]["customer_id"], rows["a"]["known_at"], rows["a"]["shared_from"]) == (
        customer_id_of("w"),
        pipeline.day(5),
        None,
    )


def test_bots_are_no_visitors_but_what_they_buy_is_kept(pipeline):
    bot = {"anonymous_token": "crawler", "flags": ["no_time", "bot"]}
    events = [
        pipeline.event("v", "Product Viewed", 1, **bot),
        pipeline.event("o", "Order Completed", 2, order_id="o", revenue_cents=100, **bot),
        pipeline.event("u", "Product Viewed", 3, user_token="u", flags=["bot"]),
        pipeline.event("h", "Product Viewed", 4, user_token="u", flags=["impossible_time"]),
    ]
    tables = pipeline.facts(events)
    assert [row["event_id"] for row in tables["interactions"].to_pylist()] == ["h"]
    assert tables["sessions"].num_rows == 2  # the order, and what somebody looked at
    assert [row["paid_cents"] for row in tables["orders"].to_pylist()] == [100]
    assert sorted(tables["identities"]["token"].to_pylist()) == ["u"]
    counted = {row["check_code"]: (row["row_count"], row["checked_count"], row["treatment"])
        for row in tables["cleaning"].to_pylist()}  # fmt: skip
    assert counted["browsing_of_a_bot"] == (2, 3, "excluded")
    assert counted["order_of_a_bot"] == (1, 1, "kept")
    assert counted["time_missing"] == (2, 4, "corrected")
    assert counted["time_impossible"] == (1, 4, "corrected")


users, devices = st.sampled_from(["u1", "u2", "u3", "u4"]), st.sampled_from(["a", "b", "c"])
a_contact = st.fixed_dictionaries({}, optional={"email": st.sampled_from("mn"), "phone": st.sampled_from("fg")})
steps = st.one_of(
    st.tuples(st.just("view"), users, devices),
    st.tuples(st.just("user"), users, a_contact),
    st.tuples(st.just("visitor"), devices, a_contact),
    st.tuples(st.just("alias"), users, users),
    st.tuples(st.just("unlink"), st.one_of(users, devices)),
)
stories = st.lists(st.lists(steps, max_size=14), max_size=10).map(lambda told: [apart(*one) for one in enumerate(told)])
"""Of people who have nothing to do with each other: a query takes as long over ten of them as over one."""
quick = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


def apart(number, story):
    """A story whose people, devices and contacts are in no other."""

    def own(word):
        return {kind: own(value) for kind, value in word.items()} if isinstance(word, dict) else f"{word}.{number}"

    return [(kind, *map(own, words)) for kind, *words in story]


def events_of(pipeline, stories):
    """Events of all stories."""
    builder = EventBuilder(pipeline)
    return [event for story in stories for event in story_events(builder, story)]


def story_events(builder, story):
    """Events of a story, the first step known first; ids do not give the order."""

    def one(at, kind, first, second=None):
        if kind == "unlink":
            return builder.unlink(at, **{"user_token" if first[0] == "u" else "anonymous_token": first})
        if kind in {"user", "visitor"}:
            return builder.contact(at, **{"user" if kind == "user" else "device": first}, **second)
        return (builder.view if kind == "view" else builder.alias)(at, first, second)

    return [one(1 + number, *step) for number, step in enumerate(story)]


@quick
@given(stories, st.randoms(use_true_random=False))
def test_identities_are_the_same_in_whatever_order_events_come_and_however_often(pipeline, stories, random):
    events = events_of(pipeline, stories)
    expected = identities_by_token(pipeline, events)
    again = [{**event, "event_id": f"again {event['event_id']}"} for event in events]
    late = [{**event, "event_id": f"late {event['event_id']}", "occurred_at": pipeline.day(0)} for event in events]
    shuffled = random.sample([*events, *again, *late], 3 * len(events))
    assert identities_by_token(pipeline, shuffled) == expected


@quick
@given(stories)
def test_what_becomes_known_later_changes_no_link_that_was_known(pipeline, stories):
    """Only an undone link changes what was believed, and a person that proves to be one known for longer."""
    events = [event for event in events_of(pipeline, stories) if event["name"] != "Identity Unlinked"]
    after = identities_by_token(pipeline, events)
    for cutoff in range(2, max(map(len, stories), default=0) + 2, 4):
        before = identities_by_token(pipeline, events, as_of=cutoff)
        known = {token: row for token, row in after.items() if row["known_at"] < pipeline.day(cutoff)}
        assert {token: row["customer_id"] for token, row in known.items()} == {
            token: before[token]["customer_id"] for token in known
        }
        assert {token: row["known_at"] for token, row in known.items()} == {
            token: before[token]["known_at"] for token in known
        }


@quick
@given(stories)
def test_event_by_event_gives_what_a_recomputation_gives(pipeline, stories):
    """The rules once more, as a person would follow them, each event as it becomes known."""
    rows = identities_by_token(pipeline, events_of(pipeline, stories))
    assert {token: row["customer_id"] for token, row in rows.items()} == {
        token: customer_id_of(root) for story in stories for token, root in OneByOne(story).customers().items()
    }


class OneByOne:
    """Identity without SQL: a list of steps, taken one at a time."""

    def __init__(self, story):
        self.undone = {step[1]: at for at, step in enumerate(story) if step[0] == "unlink"}
        self.first, self.groups, self.owner, self.contacts, self.waiting = {}, [], {}, {}, []
        self.visitor_contacts, self.aliases = [], []
        for at, step in enumerate(story):
            if step[0] != "unlink":
                self.take(at, *step)

    def take(self, at, kind, first, second=None):
        tokens = {"view": (first, second), "alias": (first, f"a-{second}")}.get(kind, (first,))
        for token in tokens:
            self.first.setdefault(token, at)
        if kind == "alias" and first != second and at > max(self.undone.get(first, -1), self.undone.get(second, -1)):
            self.aliases.append((first, second))
        self.join()
        if kind in {"view", "alias"}:
            device = tokens[1]
            if at > self.undone.get(device, -1):
                self.link(device, first, 1)
        if kind == "user":
            for priority, contact in self.ranked_contacts(second):
                owner = self.contacts.setdefault(contact, [first, False])
                owner[1] |= self.person(owner[0]) != self.person(first)
                self.link_visitors(priority, contact)
        if kind == "visitor" and first not in self.undone:
            self.visitor_contacts += [(first, *one) for one in self.ranked_contacts(second)]
            for priority, contact in self.ranked_contacts(second):
                self.link_visitors(priority, contact)

    @staticmethod
    def ranked_contacts(contacts):
        return [({"email": 2, "phone": 3}[kind], f"{kind} {value}") for kind, value in sorted(contacts.items())]

    def link_visitors(self, priority, contact):
        owner, is_shared = self.contacts.get(contact, (None, True))
        for device, rank, visitor_contact in self.visitor_contacts:
            if not is_shared and (rank, visitor_contact) == (priority, contact):
                self.link(device, owner, priority)

    def link(self, device, user, priority):
        """Link a device to a user; the first stays, until somebody else has as strong a claim."""
        held = self.owner.setdefault(device, [user, priority])
        if self.person(held[0]) == self.person(user):
            held[1] = min(held[1], priority)

    def join(self):
        """Join the user ids of aliases as soon as both are known."""
        for pair in list(self.aliases):
            if all(token in self.first for token in pair):
                self.aliases.remove(pair)
                mine = [group for group in self.groups if group & set(pair)]
                joined = set(pair).union(*mine)
                self.groups = [group for group in self.groups if group not in mine] + [joined]

    def person(self, user):
        group = next((group for group in self.groups if user in group), {user})
        return min(group, key=lambda token: (self.first[token], token))

    def customers(self):
        devices = {token for token in self.first if token[0] != "u"}
        return {
            token: self.person(self.owner[token][0] if token in self.owner else token)
            if token not in devices or token in self.owner
            else token
            for token in self.first
        }


def test_the_ledger_holds_every_change_of_customer_and_a_repeated_run_writes_the_same(pipeline, builder, shop):
    shop.lake.append(
        EVENTS,
        pipeline.events_table([builder.view(1, "old", "a"), builder.view(2, "new"), builder.alias(3, "new", "old")]),
    )
    shop.lake.append(EVENTS, pipeline.events_table([builder.unlink(13, user_token="new")]))

    def run(at):
        view = shop.view(understand.READS, understand.WRITES, run=Run.at(pipeline.day(at)))
        build_facts(view)
        rows = view.query("select * from identity_changes order by run_id, token").to_pylist()
        return [
            tuple(row[n] for n in ("run_id", "token", "customer_id", "previous_customer_id", "rule")) for row in rows
        ]

    first, last = (f"{pipeline.day(at):%Y-%m-%d}" for at in (10, 20))
    linked = [(first, token, customer_id_of("old"), customer_id_of(token), rule) for token, rule in
        (("a", "sign_in"), ("a-old", "sign_in"), ("new", "alias"))]  # fmt: skip
    assert [run(10), run(10), run(11)] == [linked] * 3
    undone = [
        (last, "a-old", customer_id_of("new"), customer_id_of("old"), "sign_in"),
        (last, "new", customer_id_of("new"), customer_id_of("old"), "unlinked"),
    ]
    assert run(20) == run(20) == linked + undone
