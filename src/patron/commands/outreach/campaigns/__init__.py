"""What people order about campaigns, from the file to the result.

Define: `save_campaign`.
Plan: `plan_campaign`, from a `campaign_draft`: `offers_of_run` (where it sends these), `campaign_policy_terms` (what
the policy leaves), `campaign_assignments` (arms), `campaign_send_times`, `campaign_forecast`, and `campaign_learning`
(what earlier ones taught).
Try: `try_campaign`, on the shop of `simulated_campaign`.
Life: `campaign_steps` approves, pauses, resumes and withdraws, journeys too; `commands.outreach.messages` sends.
Result: `measure_campaign`, from `campaign_arms` (who is in which) and `campaign_results` (what they did, what it caused
and cost, in sentences); `effect_by_day` for the picture. Journeys use these three, too.
"""
