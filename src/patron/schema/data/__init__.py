"""Data on its way in and out, as every floor names it.

In: `raw_events` before the vault has taken identifiers out, `dead_letter_reasons`, `counts` of what was stored,
`collector_state`, `data_sources` (what to check where features change), `refunds` that a run cannot count yet.
Out: `webhook_events`, what webhooks report.
"""
