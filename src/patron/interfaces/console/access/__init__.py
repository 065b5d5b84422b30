"""Pages of access: sign-in, one's own account, users, keys, the audit log.

Way in: `sign_in_pages`, `passkey_pages`, `single_sign_on_pages`.
Own account: `account_pages`. Settings: `user_pages`, `key_pages`.
Log: `audit_pages`, with the words of `audit_texts`.
"""
