"""What people order about messages: preview, send, settle; the same for campaigns and journeys.

Before: `preview_message` for one real customer, `sample_message` for nobody; `message_reach` (how many may get one,
today) and `lasting_obstacles` (who may get none until the end), `message_costs` (what one costs).
Send: `send_campaign`, also until it is done; `send_due_campaigns` in the background; `send_journey_messages`.
Nothing is sent after a restore until somebody says what was since the backup: `hold_sending`.
How: a `mailing` says what messages are for; `message_batch` checks and renders them, `message_handover` hands all that
are due to the channel, `message_answers` records what became of them, also after a kill; `message_events` writes what
was sent into the lake.
After: `receive_receipts` and `read_bounces`; `settle_message` for an unknown outcome; `subscriptions`, what customers
choose by the links in their messages.
"""
