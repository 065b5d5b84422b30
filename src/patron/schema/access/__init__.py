"""Roles, rights and audit actions, as every floor names them.

`access_rights` has roles, rights and scopes of keys; `audit_actions` names every action of the audit log;
`log_check` is what checking a chained log says.
"""
