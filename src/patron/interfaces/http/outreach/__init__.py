"""The API of outreach: campaigns and journeys for programs, receipts of providers, pages that links in messages open.

Programs: `campaign_routes` of campaigns and journeys.
Providers: `receipt_routes`. Customers: `unsubscribe_routes`.
"""
