"""Whose data it is: the vault that keeps personal data apart from the facts.

`vault` encrypts identifiers and texts with one key a token; `master_key` derives the keys of vault, inbox and links.
`privacy`: what is personal, and who agreed to what. `customers`: who they are. `outreach`: who must not be written to.
`access`: users, keys, and the audit log.
"""

READS: tuple[str, ...] = ()
WRITES: tuple[str, ...] = ()
