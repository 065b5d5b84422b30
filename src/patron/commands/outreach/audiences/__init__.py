"""What people order about audiences: segments that ad platforms know by hashed identifiers.

`save_audience` saves one from its file, `sync_audience` tells the platform who was added and removed.
`audience_candidates` says who may be in it: members who agreed.
`find_lookalikes` lists the customers who are most like a segment's members.
"""
