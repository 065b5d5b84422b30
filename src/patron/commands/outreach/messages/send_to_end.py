"""Send a campaign in the foreground until nothing of it is left, waiting where messages have their time."""

from collections.abc import Callable
from datetime import timedelta

from patron.commands.outreach.messages.message_handover import Clock
from patron.commands.outreach.messages.send_campaign import (
    Progress,
    SendSummary,
    never,
    preview_send,
    send_campaign,
    silent,
    summary_of,
)
from patron.storage.outreach.campaign_file import CAMPAIGN
from patron.storage.outreach.versioned_drafts import APPROVED, RUNNING
from patron.storage.shop import Shop

__all__ = ["preview_send", "send_to_end"]

LOOK_SECONDS = 2.0
"""How often a waiting sender looks whether it is to stop."""
SHORTEST_WAIT = timedelta(seconds=1)


def send_to_end(  # noqa: PLR0913 - what a send consists of
    shop: Shop,
    name: str,
    *,
    clock: Clock,
    wait: Callable[[float], object],
    by: str,
    progress: Progress = silent,
    should_stop: Callable[[], bool] = never,
    is_only_due: bool = False,
    is_early: bool = False,
) -> SendSummary:
    """Send a campaign to its end, or only what is due; `wait` sleeps some seconds.

    It ends early where somebody wants it to stop, or paused, withdrew or changed the campaign. Raises what
    `send_campaign` does.
    """
    while True:
        summary = send_campaign(
            *(shop, name),
            now=clock(),
            clock=clock,
            by=by,
            is_early=is_early,
            progress=progress,
            should_stop=should_stop,
        )
        if is_only_due or summary.next_due_at is None:
            return summary
        until = max(summary.next_due_at, clock() + SHORTEST_WAIT)
        while clock() < until:
            if should_stop() or CAMPAIGN.saved_in(shop.store, name).state not in {APPROVED, RUNNING}:
                return summary_of(shop, name)
            progress(f"waiting until {until:%Y-%m-%d %H:%M} UTC", summary.sent_count, None)
            wait(min(LOOK_SECONDS, max((until - clock()).total_seconds(), 0.0)))
