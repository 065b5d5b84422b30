"""The API of outreach: campaigns and journeys for programs, receipts of providers, pages that links in messages open.

Programs: `campaign_routes` and `journey_routes`; `life_routes` has the steps that both share.
Providers: `receipt_routes`. Customers: `unsubscribe_routes`.
"""
