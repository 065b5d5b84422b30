"""What people ask about personal data: requests, consents, and what is done with whose data.

`privacy_desk` has requests by deadline, and certificates; `consent_trail` the ledger of consents;
`processing_register` the register of GDPR article 30;
`customer_explanation` what was estimated of one customer, for them to know.
"""
