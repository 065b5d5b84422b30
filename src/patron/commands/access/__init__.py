"""What people order about access: users, ways to sign in, keys of programs, and who took a step.

Users: `manage_users` invites and changes them, `user_mail` writes to them, `user_account` is what they change of it.
Sign-in: `sign_in` takes the password, then the second factor, with a `second_factor_ticket` between the two;
`sign_in_limits` bounds the attempts.
Other ways in: `passkeys`; `single_sign_on` at an issuer, through `oidc_issuer`; `single_sign_on_only` where no
other way counts.
Programs: `manage_keys` creates, rotates and revokes; `idempotency` answers a repeated request once.
Who it was: `identify_actor` by session or key, `actors` as it is written down.
Records: `export_audit_log`; `record_list_export` when somebody takes a list out as a file.
"""
