"""What people ask about access: who works here, and who did what.

`team` has users, teams, roles and one's own sessions; `audit_trail` the audit log, and whether its chain is intact.
"""
