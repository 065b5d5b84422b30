"""Save a campaign from its file, and an example of such a file."""

from datetime import datetime, timedelta
from pathlib import Path

from patron.commands.outreach.campaigns import campaign_steps
from patron.commands.outreach.campaigns.campaign_policy_terms import campaign_policy
from patron.commands.outreach.campaigns.campaign_steps import BaseVersion, VersionState
from patron.commands.outreach.campaigns.offers_of_run import require_run_kept
from patron.engage.templates.message_template import MessageTemplates
from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import NO_CHANNEL, NO_TOPIC, OTHER_FOLDER, THERE_ALREADY
from patron.schema.errors import BadCampaign
from patron.schema.outreach.channels import CHANNELS
from patron.storage.durable_files import write_durably
from patron.storage.outreach.campaign_file import CAMPAIGN, Campaign
from patron.storage.outreach.versioned_drafts import SavedVersion

ACT_ON_CAMPAIGNS = Right(Action.ACT, Area.CAMPAIGNS)
DAYS = 14
CAMPAIGN_FILE, TEMPLATE_FILE = "campaign.toml", "templates/hello.en.mjml"
SUBJECT = "{{ customer.first_name | default: 'Hello' }}, something new for you"
BODY = """\
<mjml>
  <mj-body>
    <mj-section>
      <mj-column>
        <mj-text>Hello {{ customer.first_name | default: "there" }},</mj-text>
        <mj-text>we have something new for you. Come and have a look.</mj-text>
        <mj-text font-size="11px">
          <a href="{{ unsubscribe_url }}">Unsubscribe</a> | <a href="{{ preferences_url }}">Choose your topics</a>
        </mj-text>
      </mj-column>
    </mj-section>
  </mj-body>
</mjml>
"""
EXAMPLE = """\
# campaign.toml: patron campaign save campaign.toml; plan | approve --as USER | send | pause | result take its name
name = "hello"
segment = "every customer"      # of `patron segment save --example`
exclude = []                    # segments whose members are left out
goal = "profit"                 # profit | orders | reactivated
channel = "email"
topic = "offers"
offers = []                     # of policy.toml, such as ["ten_percent"]; empty: the message alone
budget = 100.00                 # in the shop's currency
holdout_share = 0.2             # who is sent nothing, so that the effect can be measured
start = {start:%Y-%m-%dT%H:%M:%S}     # the shop's clock
end = {end:%Y-%m-%dT%H:%M:%S}

# [expect]                      # what `patron campaign try` requires on the simulated shop
# least_effect = 0.00           # per customer, in the shop's currency
# least_profit = 0.00           # in all

[template.en]
subject = "{subject}"
"""


@operation(ACT_ON_CAMPAIGNS, "POST /api/campaigns", audit=AuditAction.CAMPAIGN_SAVED, name_field="by")
def save_campaign_content(
    context: RequestContext, campaign: dict[str, object], version: BaseVersion = None
) -> VersionState:
    """Save a campaign as a draft; there is a new version only where something changed."""
    content = Campaign.of(campaign, where="campaign")
    return VersionState.from_version(save_campaign(context, content, base=version))


def save_campaign(context: RequestContext, campaign: Campaign, *, base: int | None = None) -> SavedVersion[Campaign]:
    """Save a campaign as a draft: a new version; an unchanged one stays as it is.

    `base` is the version that was changed: raises EditConflict where another one was saved since.
    Raises BadCampaign for an offer or a topic that the policy does not have, an unknown channel, a campaign that is
    over, and another audience than the run whose offers it was given;
    BadTemplate for a template that is not valid in any of the languages.
    """
    campaign_policy(context.shop.policy, campaign)
    campaign_steps.require_known(CAMPAIGN, NO_TOPIC, [("topic", campaign.topic)], context.shop.policy.topics)
    campaign_steps.require_known(CAMPAIGN, NO_CHANNEL, [("channel", campaign.channel)], CHANNELS)
    MessageTemplates.of(campaign.template, context.shop.settings.shop.locale).require_known_names()
    with context.shop.store.begin() as connection:
        require_run_kept(connection, campaign)
        return campaign_steps.save(context, connection, CAMPAIGN, campaign, base)


def example_file(now: datetime) -> str:
    """A campaign file that works, with its template inside; `now` is by the shop's clock."""
    return f"{_example(now)}format = \"mjml\"\nbody = '''\n{BODY}'''\n"


def write_example(folder: Path, now: datetime) -> tuple[Path, Path]:
    """Write a campaign file that works and its template into a folder. Raises BadCampaign where it has such files."""
    paths = folder / CAMPAIGN_FILE, folder / TEMPLATE_FILE
    for path in paths:
        if path.exists():
            raise BadCampaign(THERE_ALREADY, where=str(path), todo=OTHER_FOLDER)
    paths[1].parent.mkdir(parents=True, exist_ok=True)
    write_durably(paths[1], BODY.encode())
    write_durably(paths[0], f'{_example(now)}file = "{TEMPLATE_FILE}"\n'.encode())
    return paths


def _example(now: datetime) -> str:
    start = now.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    return EXAMPLE.format(start=start, end=start + timedelta(days=DAYS), subject=SUBJECT)
