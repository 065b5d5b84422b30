"""Tables and settings of access, and the head of the audit log.

`access_tables` (users, sessions, factors, teams, keys, answers to repeated requests); `access_settings` and
`oidc_settings` of patron.toml; `audit_head`, kept next to the master key.
"""
