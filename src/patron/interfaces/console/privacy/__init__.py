"""Pages of privacy: the desk where requests of people are worked off, consents, the register.

`privacy_pages`, in the words of `privacy_texts`; `explanation_texts` is what a customer is told of their estimates.
"""
