"""`patron journey advance`: all journeys as far as they can go now, for shops where `patron serve` does not run."""

from datetime import UTC, datetime

from patron.interfaces.cli import output
from patron.interfaces.cli.options import HERE, AsJson, Workspace
from patron.interfaces.cli.outreach.journey_commands import journey


@journey.command()
def advance(workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """Advance all journeys: who enters by new events, the steps that are due, and what they send.

    `patron serve` does this by itself; without it, run this every minute, such as by cron.

    Example: patron journey advance --workspace shop
    """
    from patron.commands.outreach.journeys.advance_journeys import advance_journeys
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    due_at, troubles = advance_journeys(shop, clock=lambda: datetime.now(UTC))
    while due_at and due_at <= datetime.now(UTC) and not troubles:  # why: a round sends some seconds long
        due_at, troubles = advance_journeys(shop, clock=lambda: datetime.now(UTC))
    if json:
        output.as_json({"next_due_at": due_at, "troubles": [str(one) for one in troubles]})
    else:
        output.say(f"Next step: {due_at:%Y-%m-%d %H:%M} UTC." if due_at else "Nobody is on the way.")
    if troubles:
        raise troubles[0]


COMMANDS = (journey,)
