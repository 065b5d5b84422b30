"""Pages of offers: the decision ledger, and the policy with proposals to change it.

`decision_pages`; `policy_pages`, with the form of `policy_form`, whose values `policy_notation` writes and reads, and
the words of `policy_page_texts`.
"""
