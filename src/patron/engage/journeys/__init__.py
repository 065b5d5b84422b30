"""What customers do moves them through journeys: entries, steps, triggers.

Events: `customer_events` are new events with their customer; `journey_triggers` says whom they make enter,
`birthdays` whose day it is.
Moves: `journey_steps` has the pure rules of one entry, `journey_fold` applies events to entries in their order.
Store: `journey_entries` reads and writes entries; `journey_position` is how far events were looked at.
"""
