"""What is remembered of shoppers: the newest, within bounds that hold whoever comes."""

from hypothesis import given
from hypothesis import strategies as st

from patron.recommenders.live.session_memory import MAX_EVENTS, SHOWN, SessionEvent, SessionMemory


def views(count, *, kind="view", since=0.0):
    return [SessionEvent(since + n, kind, f"p{n}") for n in range(count)]


def test_the_newest_events_of_a_shopper_are_kept_and_lists_push_out_no_others():
    memory = SessionMemory()
    memory.add("ann", views(MAX_EVENTS + 5))
    memory.add("ann", views(2 * MAX_EVENTS, kind=SHOWN, since=1_000.0))
    memory.add("ann", [SessionEvent(5_000.0, SHOWN, f"p{2 * MAX_EVENTS - 1}")])
    found = memory.events(["ann"])
    assert [event.day for event in found if event.kind == "view"] == [float(n) for n in range(5, MAX_EVENTS + 5)]
    shown = [event for event in found if event.kind == SHOWN]
    assert len(shown) == MAX_EVENTS
    assert shown[-1] == SessionEvent(5_000.0, SHOWN, f"p{2 * MAX_EVENTS - 1}")


def test_many_events_of_some_make_others_who_came_before_forgotten():
    memory = SessionMemory(most_events=25)
    memory.add("ann", views(10))
    memory.add("bea", views(10))
    memory.add("ann", views(1, since=50.0))
    memory.add("cleo", views(10))
    assert [memory.knows(token) for token in ("ann", "bea", "cleo")] == [True, False, True]
    memory.forget(["cleo", "nobody"])
    memory.add("dora", views(14))
    assert memory.knows("ann"), "what was forgotten makes room"


STEPS = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(0, MAX_EVENTS), st.sampled_from(("view", SHOWN)), st.booleans()),
    max_size=40,
)


@given(STEPS)
def test_events_and_shoppers_never_exceed_their_bounds_and_the_last_is_known(steps):
    memory = SessionMemory(most_shoppers=4, most_events=3 * MAX_EVENTS)
    for day, (token, count, kind, is_forgotten) in enumerate(steps):
        memory.add(token, views(count, kind=kind, since=float(day)))
        assert len(memory) <= 4
        assert sum(len(memory.events([one])) for one in "abcdef") <= 3 * MAX_EVENTS
        assert memory.knows(token)
        if is_forgotten:
            memory.forget([token])
            assert not memory.events([token])
