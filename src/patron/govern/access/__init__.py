"""Who may use the workspace: users, their secrets and sessions, keys, and the log of what they did.

Users: `users`, their `passwords`, `second_factor` and `user_identities` (passkeys, accounts at an issuer).
On the way in: `user_links` for a first account or a new password, `sign_in_challenges`, then `user_sessions`.
Programs: `api_keys`.
Every request: `request_context` says who asks, of which shop, and when; `operations` what can be asked or ordered.
Restricted teams: `visible_customers` are those they see, `customer_scope` refuses all else.
Log: `audit_log` appends and checks the chain, `audit_entries` finds what a query matches; `audit_texts` keeps what
staff wrote out of it.
"""
