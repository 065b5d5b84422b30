"""Who asks and whether they may; then the API of users, keys and the audit log.

Who: `request_keys` and `session_cookies` are read, `access_control` decides before anything is looked up.
Whom they see: `customer_scope`.
Sent twice: `idempotency_keys`. Ways in that pages offer: `sign_in_methods`.
API: `access_routes`.
"""
