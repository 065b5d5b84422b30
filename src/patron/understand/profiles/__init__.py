"""The live profile: what a token's events add up to, kept as sums, times and the newest few, and read with the time.

`token_profile` is what is kept, `profile_query` makes it from events, `profile_store` has its rows.
`profile_writer` adds new events, `profile_view` is what people read at a time.
"""
