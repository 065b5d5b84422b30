"""Pages that are computed take turns; programs and questions of Explore, which wait for another process, do not."""

import asyncio

import httpx
import pytest

from patron.interfaces.http.application import create_app
from patron.interfaces.http.page_turns import PageTurns
from patron.schema.access.access_rights import Actor, Role, rights_of_user

ADMIN = Actor("Ada", rights_of_user([Role.ADMIN]))


class CountedTurns(PageTurns):
    """Turns that count how many were taken."""

    taken = 0

    def hold(self, reader):
        self.taken += 1
        return super().hold(reader)


@pytest.mark.parametrize(
    ("address", "taken"),
    [("/customers", 1), ("/models", 1), ("/explore", 0), ("/sign-in", 0), ("/api/customers", 0), ("/health", 0)],
)
def test_only_a_page_that_is_computed_here_takes_a_turn(made_shop, address, taken):
    async def ask():
        app = create_app(made_shop, visitor=ADMIN)
        app.state.page_turns = turns = CountedTurns(1)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            answers = [(await client.get(address)).status_code for _ in range(2)]
        return answers, turns.taken

    assert asyncio.run(ask()) == ([200, 200], 2 * taken)


def test_four_pages_at_once_of_which_one_reader_holds_two_and_the_others_come_in_order():
    async def read():
        turns, begun, may_end = PageTurns(4), [], asyncio.Event()

        async def page(reader):
            async with turns.hold(reader):
                begun.append(reader)
                await may_end.wait()

        tasks = [asyncio.create_task(page(reader)) for reader in ("ann", "ann", "ann", "ben", "cem", "dan", "eve")]
        await asyncio.sleep(0.05)
        first = list(begun)
        may_end.set()
        await asyncio.gather(*tasks)
        return first, begun[4:]

    assert asyncio.run(read()) == (["ann", "ann", "ben", "cem"], ["dan", "eve", "ann"])
