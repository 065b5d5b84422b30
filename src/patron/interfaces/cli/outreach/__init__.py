"""The command line of outreach: campaigns, journeys, audiences, channels.

Campaigns: `campaign_commands` and `send_commands` are `patron campaign`; printed by
`render_campaigns`, `render_plan` and `render_campaign_result`.
Journeys: `journey_commands` and `journey_advance_commands` are `patron journey`; printed by `render_journeys` and
`render_journey_result`, with the steps as sentences of `journey_steps_text`.
Others: `audience_commands` is `patron audience`, `channel_commands` is `patron channels`.
Processes that `patron serve` starts: `due_campaigns` sends, `running_journeys` advances.
"""
