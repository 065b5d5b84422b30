"""Who customers are: names and contacts, encrypted, found by blind index, read in batches.

Cards: `contact_cards` keeps the latest name and contacts of each user, `contact_values` says which values those are;
`customer_contacts` reads them by customer, with the `user_tokens` of the last run.
Names: `customer_names` finds them in what a shop sends.
Search: `name_words` makes codes of parts of names; `phone_numbers` gives a number its one form.
Staff: `sealed_texts` encrypts notes and other texts that may name a customer.
"""
