"""What every floor calls a customer's contacts, profile and cohort.

`customer_contacts` is who a customer is, and how it is masked; `live_profile` what their events add up to by now;
`cohort` customers who came in one month; `customer_rights` how answers name one, and the right to read them.
"""
