"""Files that a new workspace gets: policy.toml, offer_rules.toml and what they need."""
