"""How lookalikes look in a terminal."""

from pathlib import Path
from typing import TYPE_CHECKING

from patron.interfaces.cli import output

if TYPE_CHECKING:
    from patron.commands.outreach.audiences.find_lookalikes import Lookalikes

MOST_SHOWN = 20
VERDICTS = {
    "apart": "Members are well set apart: the first of the list are worth a campaign.",
    "weakly_apart": "Members are slightly set apart: the first of the list are better than chance, but not by much.",
    "nothing_apart": "Nothing sets the members apart: by what Patron knows this list is no better than one at random.",
}


def show_lookalikes(lookalikes: "Lookalikes", path: Path | None, *, json: bool) -> None:
    """Show how well the segment can be told apart, and the likest customers or where they were written."""
    if json:
        output.as_json(lookalikes)
        return
    members, others = f"{lookalikes.member_count:,} members", f"{lookalikes.candidate_count:,} other customers"
    output.say(f"{members} and {others}, run {lookalikes.run_id}.")
    if lookalikes.unknown_count:
        output.say(f"{lookalikes.unknown_count:,} ids of the file are of no customer of this run.", style="yellow")
    output.say(
        f"Members are told from others with an AUC of {lookalikes.auc:.2f} "
        f"(95% interval {lookalikes.auc_low:.2f} to {lookalikes.auc_high:.2f}; chance is 0.50)."
    )
    output.say(VERDICTS[lookalikes.verdict], style="" if lookalikes.verdict == "apart" else "yellow")
    if lookalikes.objecting_count:
        output.say(f"Left out: {lookalikes.objecting_count:,} who object to profiling.")
    contactable = sum(one.may_be_contacted for one in lookalikes.people)
    output.say(f"Of the {len(lookalikes.people):,} listed, {contactable:,} may be contacted.")
    if path is not None:
        output.say(f"Wrote {path}.")
        return
    rows = [
        (one.rank, one.user_id or "", one.customer_id, f"{one.likeness:.2f}", "yes" if one.may_be_contacted else "no")
        for one in lookalikes.people[:MOST_SHOWN]
    ]
    output.grid("", ("rank", "user id", "customer", "likeness", "may be contacted"), rows)
    if len(lookalikes.people) > MOST_SHOWN:
        output.say(f"... {len(lookalikes.people) - MOST_SHOWN:,} more; --out writes all of them, --json prints them.")
