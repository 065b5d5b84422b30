"""What is personal, and who agreed to what.

Recognise: `value_detectors` by the form of a value, with `national_numbers` (cards, accounts, ids of states);
`personal_data` splits traits and properties into what stays in clear and what goes to the vault.
`person_mentions` finds out whether a text mentions a person whose values nobody may read.
Consent: `consent_ledger` is only ever added to.
"""
