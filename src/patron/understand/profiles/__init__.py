"""The live profile: what a token's events add up to, kept as sums, times and the newest few, and read with the time."""
