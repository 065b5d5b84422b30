"""Personal data and requests about it, as every floor names them.

`personal_keys` says what a trait or property holds by its key; `privacy_requests` kinds and deadlines of requests.
Values are recognised in `govern.privacy`.
"""
