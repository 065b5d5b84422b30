"""The command line of outreach: campaigns, journeys, audiences, channels.

Campaigns: `campaign_commands`, `campaign_step_commands` and `send_commands` are `patron campaign`; printed by
`render_campaigns`.
Journeys: `journey_commands` is `patron journey`; printed by `render_journeys`.
Others: `audience_commands` is `patron audience`, `channel_commands` is `patron channels`, `sending_commands` is
`patron sending`.
Processes that `patron serve` starts: `due_campaigns` sends, `running_journeys` advances.
"""
