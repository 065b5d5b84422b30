"""The command line of access: users, keys, the audit log.

`user_commands` is `patron users`, `key_commands` `patron keys`, `audit_commands` `patron audit`.
"""
