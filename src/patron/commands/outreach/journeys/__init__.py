"""What people order about journeys, from the file to the result.

Define: `save_journey`; `journey_examples` has ready-made ones.
Plan: `plan_journey`, by `journey_replay` on the events of the last weeks.
Life: approved, paused, resumed and withdrawn as campaigns are; `live_journeys` starts and ends them by the clock.
Advance: `advance_journeys` is one round: `fold_journey_events` (what is new), `journey_branches` (rules), and
`journey_mailing` (the messages of a step, which `commands.outreach.messages` sends).
Result: `measure_journey` for the whole, `journey_step_results` for each step.
"""
