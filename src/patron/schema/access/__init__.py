"""What everyone agrees on about access.

`access_rights` has roles, rights and scopes of keys; `log_check` is what checking a chained log says.
"""
