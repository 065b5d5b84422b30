"""What people declare when they sign in is what they are like, and what identifies them stays apart."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from patron.simulate.event_batches import make_batch
from patron.simulate.population import CHANNELS, INCOMES, REGIONS
from patron.simulate.random_streams import Draws
from patron.simulate.sign_in_traits import traits_and_identifiers

SIGN_IN = pa.array(["Identify", "Customer Registered"])


@pytest.fixture(scope="module")
def sign_ins(year):
    """Person, device, traits and identifiers of every sign-in."""
    rows = year.filter(pc.is_in(year["name"], SIGN_IN)).to_pylist()
    return [
        (int(row["user_id"][1:]), row["device"], json.loads(row["traits"]), json.loads(row["personal"])) for row in rows
    ]


def test_people_speak_of_themselves_when_they_sign_in_and_at_no_other_time(year):
    signs_in = pc.is_in(year["name"], SIGN_IN)
    assert pc.sum(signs_in).as_py() > 500
    for column in ("traits", "personal"):
        assert pc.is_valid(year[column]).equals(signs_in)


def test_what_people_declare_is_what_they_are_like(simulated_year, sign_ins):
    people = simulated_year[0].people
    for person, device, traits, _ in sign_ins:
        assert traits["income"] == INCOMES[people.income[person]]
        assert traits["household_size"] == people.household_size[person]
        assert traits["region"] == REGIONS[people.region[person]]
        assert traits["acquisition_channel"] == CHANNELS[people.channel[person]]
        assert traits["registration_channel"] == device


def test_who_says_that_they_were_referred_has_a_referrer(simulated_year, year, sign_ins):
    referrers = simulated_year[0].people.referrer
    by_channel = {person: traits["acquisition_channel"] == "referral" for person, _, traits, _ in sign_ins}
    assert 0 < sum(by_channel.values()) < len(by_channel)
    assert all(is_referred == (referrers[person] >= 0) for person, is_referred in by_channel.items())
    events = year.filter(pc.equal(year["name"], "Customer Referred"))
    assert set(events["referred_user_id"].to_pylist()) == {
        f"C{person}" for person, is_one in by_channel.items() if is_one
    }


def test_everybody_has_one_address_for_ever_and_nobody_shares_it(sign_ins):
    addresses = {}
    for person, _, _, personal in sign_ins:
        addresses.setdefault(person, set()).add((personal["email"], personal["name"]))
    assert max(map(len, addresses.values())) == 1
    assert len({email for known in addresses.values() for email, _ in known}) == len(addresses)
    assert len(sign_ins) > len(addresses)


def test_what_identifies_people_is_in_no_trait(sign_ins):
    for _, _, traits, personal in sign_ins:
        assert not set(traits) & set(personal)
        texts = " ".join(map(str, traits.values())).lower()
        assert not any(part in texts.split() for part in personal["name"].lower().split())
        assert "@" not in texts


def test_names_are_the_seeds_and_traits_the_persons(simulated_year):
    people = simulated_year[0].people
    person = np.flatnonzero(~people.is_visitor)
    events = make_batch("Identify", person, person * 0, person, device=people.device[person])
    first, again, other = (traits_and_identifiers(events, people, Draws(seed)) for seed in (7, 7, 8))
    assert first[1].equals(again[1])
    assert first[0].equals(other[0])
    assert not first[1].equals(other[1])
