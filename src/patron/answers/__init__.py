"""What people ask: frozen dataclasses read from tables, nothing else.

Rooms are those of the commands:
`insight`: the shop at a glance, Today, the brief, retention, experiments, questions. `customers`: list, card, tasks.
`segments`: who is in them. `offers`: decisions and policy. `outreach`: campaigns, journeys, audiences.
`models`: what is predicted, how well, and why. `data`: quality, ingestion, runs, SQL.
`privacy`: requests, consents, the register. `access`: users and the audit log.
"""
