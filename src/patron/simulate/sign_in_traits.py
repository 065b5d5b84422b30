"""What people declare when they sign in: plain traits, and identifiers for the vault."""

import json

import numpy as np
import pyarrow as pa

from patron.simulate.event_batches import CODE, Batch
from patron.simulate.population import CHANNELS, DEVICES, INCOMES, REGIONS, People
from patron.simulate.random_streams import Draws, choose

FIRST = ("Ada", "Ben", "Chen", "Dora", "Emil", "Fatima", "Goran", "Hana", "Ivo", "Jun", "Kofi", "Lena", "Mei", "Nils")
LAST = ("Abara", "Berg", "Costa", "Dahl", "Eze", "Falk", "Garcia", "Huang", "Ito", "Jansen", "Khan", "Lind", "Moreau")


GROUPS = ("a", "b")
"""Values of the sensitive trait, gender, which only the vault holds."""


def traits_and_identifiers(
    events: Batch, people: People, draws: Draws, *, has_group: bool = False
) -> tuple[pa.Array, pa.Array]:
    """JSON texts of traits and of identifiers, on Identify and Customer Registered events only."""
    speaking = np.isin(events.name, (CODE["Identify"], CODE["Customer Registered"]))
    who = events.person[speaking]
    traits = [_traits(people, int(i), int(d)) for i, d in zip(who, events.device[speaking], strict=True)]
    personal = _identifiers(who, people.is_in_group_b[who] if has_group else None, draws)
    index = pa.array(np.cumsum(speaking) - 1, mask=~speaking)
    return pa.array(traits, pa.string()).take(index), pa.array(personal, pa.string()).take(index)


def _traits(people: People, person: int, device: int) -> str:
    return json.dumps(
        {
            "income": INCOMES[people.income[person]],
            "household_size": int(people.household_size[person]),
            "country": "US",
            "region": REGIONS[people.region[person]],
            "language": "en",
            "acquisition_channel": CHANNELS[people.channel[person]],
            "registration_channel": DEVICES[device],
        }
    )


def _identifiers(who: np.ndarray, is_in_group_b: np.ndarray | None, draws: Draws) -> list[str]:
    first = choose(np.ones(len(FIRST)), draws.uniform("first name", who))
    last = choose(np.ones(len(LAST)), draws.uniform("last name", who))
    names = [(FIRST[f], LAST[s]) for f, s in zip(first, last, strict=True)]
    groups = [{}] * len(who) if is_in_group_b is None else [{"gender": GROUPS[int(one)]} for one in is_in_group_b]
    return [
        json.dumps({"name": f"{f} {s}", "email": f"{f}.{s}.{i}@example.com".lower()} | group)
        for (f, s), i, group in zip(names, who, groups, strict=True)
    ]
