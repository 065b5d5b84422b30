"""An approval pins what decides who is written to, what and how often: later changes wait for an approval of theirs."""

from tests.support.shops.campaign_shop import Person, ScriptedChannel
from tests.support.shops.journey_shop import START, advance, at_hour, entries, finish_run, happen, journey, send, start

from patron.commands.segments.save_segment import save_segment
from patron.govern.access.request_context import RequestContext

ANN, BEN = Person("ann"), Person("ben")
LAPSED = {"field": "lifecycle_stage", "op": "==", "value": "lapsed"}
EVERYBODY = {"all": []}


def save_rule(shop, rule, *, name="leaving", by="Ann", at=START):
    save_segment(RequestContext.from_name(shop, by, now=at), {"name": name, "rule": rule})


def test_a_wider_segment_lets_nobody_more_into_a_running_journey(open_shop):
    shop, channel = open_shop, ScriptedChannel()
    save_rule(shop, LAPSED, at=at_hour(-10))
    start(shop, journey([send()], {"event": "Product Added", "segment": "leaving"}))
    finish_run(shop, at_hour(-9), [ANN, BEN])
    save_rule(shop, EVERYBODY, at=at_hour(1))
    happen(shop, ("ann", "Product Added", at_hour(2)))
    advance(shop, at_hour(2), channel)
    assert (entries(shop), channel.taken) == ([], [])
