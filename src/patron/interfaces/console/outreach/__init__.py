"""Pages of outreach: campaigns, journeys, channels.

Campaigns: `campaign_pages`, `campaign_form_pages`. Journeys: `journey_pages`, `journey_form_pages`.
Both: `engagement_pages` has the steps of their life, versions and messages.
Settings: `channel_settings_pages`.
"""
