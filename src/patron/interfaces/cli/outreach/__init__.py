"""The command line of outreach: campaigns, journeys, audiences, channels.

Campaigns: `campaign_commands` and `send_commands` are `patron campaign`; printed by
`render_campaigns`; `draft_step_commands` has the steps that both share.
Journeys: `journey_commands` is `patron journey`; printed by `render_journeys`.
Others: `audience_commands` is `patron audience`, `channel_commands` is `patron channels`.
Processes that `patron serve` starts: `due_campaigns` sends, `running_journeys` advances.
"""
