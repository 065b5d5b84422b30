"""How lookalikes look in a terminal."""

from pathlib import Path

from patron.commands.find_lookalikes import Lookalikes
from patron.interfaces.cli import output

MOST_SHOWN = 20
VERDICTS = {
    "apart": "Members are well set apart: the first of the list are worth a campaign.",
    "weakly_apart": "Members are slightly set apart: the first of the list are better than chance, but not by much.",
    "nothing_apart": "Nothing sets the members apart: by what Patron knows this list is no better than one at random.",
}


def show_lookalikes(found: Lookalikes, path: Path | None, *, json: bool) -> None:
    """Show how well the segment can be told apart, and the likest customers or where they were written."""
    if json:
        output.as_json(found)
        return
    output.say(
        f"{found.member_count:,} members and {found.candidate_count:,} other customers, run {found.run_id}."
        + (f" {found.unknown_count:,} ids of the file are of no customer of this run." if found.unknown_count else "")
    )
    output.say(
        f"Members are told from others with an AUC of {found.auc:.2f} "
        f"(95% interval {found.auc_low:.2f} to {found.auc_high:.2f}; chance is 0.50)."
    )
    output.say(VERDICTS[found.verdict], style="" if found.verdict == "apart" else "yellow")
    if found.objecting_count:
        output.say(f"Left out: {found.objecting_count:,} who object to profiling.")
    contactable = sum(one.may_be_contacted for one in found.people)
    output.say(f"Of the {len(found.people):,} listed, {contactable:,} may be contacted.")
    if path is not None:
        output.say(f"Wrote {path}.")
        return
    rows = [
        (one.rank, one.user_id or "", one.customer_id, f"{one.likeness:.2f}", "yes" if one.may_be_contacted else "no")
        for one in found.people[:MOST_SHOWN]
    ]
    output.grid("", ("rank", "user id", "customer", "likeness", "may be contacted"), rows)
    if len(found.people) > MOST_SHOWN:
        output.say(f"... {len(found.people) - MOST_SHOWN:,} more; --out writes all of them, --json prints them.")
