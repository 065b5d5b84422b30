"""Save an audience from its file, and an example of such a file."""

from patron.commands.outreach.campaigns import campaign_steps
from patron.govern.access.request_context import RequestContext
from patron.schema.common_sentences import NO_SEGMENT
from patron.schema.errors import BadAudience
from patron.schema.sentences import Sentence
from patron.storage.outreach.audience_file import AUDIENCE, Audience
from patron.storage.outreach.audience_members import count_members
from patron.storage.outreach.versioned_drafts import SavedVersion, lock_campaigns
from patron.storage.segments.segment_definitions import definitions

SAVE_SEGMENT_FIRST = Sentence("save_segment_first", "Save it first: `patron segment save --example` prints one.")
OTHER_NAME_OR_WITHDRAW = Sentence(
    "other_name_or_withdraw", 'Use another name. To end this audience: patron audience withdraw "{name}", then sync.'
)
DESTINATION_MEMBERS = Sentence("destination_members", "its destination still has members")

EXAMPLE = """\
# audience.toml: patron audience save audience.toml; sync | show | withdraw take its name
name = "every customer"
segment = "every customer"      # of `patron segment save --example`
exclude = []                    # segments whose members are left out
identifiers = ["email"]         # email, phone: what of a person is hashed
# phone_format = "e164"         # e164: +16175551212 is hashed (Google, TikTok); digits: 16175551212 (Meta)
# country_code = "1"            # of numbers that are written without one; without it they are left out

[destination]
kind = "file"                   # file: CSV files in outbox/audiences to upload | http: signed requests
# url = "https://connector.example/audiences"
# secret_file = "audience.secret"
# batch_size = 5000             # people in one request
"""
"""A file that works in every shop."""


def save_audience(context: RequestContext, audience: Audience) -> SavedVersion[Audience]:
    """Save an audience: a new version; an unchanged one stays as it is.

    Raises BadAudience for an unknown segment, a name that something else has, and another destination while the former
    one has members.
    """
    names = [("segment", name) for name in (audience.segment, *audience.exclude)]
    campaign_steps.require_known(AUDIENCE, NO_SEGMENT, names, definitions(context.shop.store), SAVE_SEGMENT_FIRST)
    with context.shop.store.begin() as connection:
        lock_campaigns(connection)  # why: a sync that goes on must not add the first members meanwhile
        before = next((one for one in AUDIENCE.all_saved(connection) if one.name == audience.name), None)
        if before and _place(before.content) != _place(audience) and count_members(connection, audience.name):
            todo = OTHER_NAME_OR_WITHDRAW(name=audience.name)
            raise BadAudience(DESTINATION_MEMBERS, where="destination", todo=todo)
        return campaign_steps.save(context, connection, AUDIENCE, audience)


def _place(audience: Audience) -> tuple[str, str]:
    return audience.destination.kind, audience.destination.url
