"""What people ask about campaigns, journeys and audiences: the list of each, and one with its history.

`campaign_list`, `journey_list`, `audience_list`. Results are measured by `commands.outreach`.
"""
