"""The command line of privacy: a customer's data, exported or erased.

`privacy_commands` is `patron export` and `patron forget`.
"""
