"""What runs all day: collector, compaction worker, live profiles, recommendations, and what `patron serve` starts.

Collect: `collector` accepts, `compaction_worker` moves events into the lake.
Customers now: `live_profiles` by `profile_reader`, `order_probability` of the open visit; `customer_lookup` and
`customer_search` find them.
Recommend: `recommendation_answers` to pages, made by `live_recommendations` from a `recommendation_source` and
`session_events`; `list_learning` until the next night; `recommendation_preview` for staff.
By itself: `run_timer` starts runs; `campaign_sender`, `digest_sender`, `webhook_sender` and `journey_process` start
when something is due, each a `due_process`, which is a `child_process`; so is `answer_process`, which reads for people
and programs. On demand: `jobs`, which outlive the server.
"""
