"""Campaigns and journeys for programs: read with a read key; steps are taken with a secret key, which is their actor.

The body may name who uses the key: the name is kept with it. What somebody's key saved, they cannot approve.
"""

from patron.answers.outreach.campaign_list import list_campaigns, show_campaign, versions_operation
from patron.answers.outreach.journey_list import list_journeys, show_journey
from patron.commands.outreach.campaigns.campaign_steps import life_operations
from patron.commands.outreach.campaigns.measure_campaign import measure_campaign
from patron.commands.outreach.campaigns.plan_campaign import plan_campaign
from patron.commands.outreach.campaigns.save_campaign import save_campaign_content
from patron.commands.outreach.journeys.measure_journey import measure_journey
from patron.commands.outreach.journeys.plan_journey import plan_journey
from patron.commands.outreach.journeys.save_journey import save_journey_content
from patron.commands.outreach.messages.hold_sending import hold_sending, release_sending, show_sending
from patron.commands.outreach.messages.message_reach import message_reach
from patron.commands.outreach.messages.settle_message import settle_operation
from patron.interfaces.http.operation_routes import operation_routes
from patron.service.jobs import start_trial
from patron.storage.outreach.campaign_file import CAMPAIGN
from patron.storage.outreach.journey_file import JOURNEY

router = operation_routes(
    list_campaigns,
    message_reach,
    show_campaign,
    save_campaign_content,
    plan_campaign,
    measure_campaign,
    start_trial,
    versions_operation(CAMPAIGN),
    *life_operations(CAMPAIGN),
    settle_operation("campaign"),
    list_journeys,
    show_journey,
    save_journey_content,
    plan_journey,
    measure_journey,
    versions_operation(JOURNEY),
    *life_operations(JOURNEY),
    settle_operation("journey"),
    show_sending,
    hold_sending,
    release_sending,
)
