"""Pages of segments: the list, one segment, the builder of rules.

`segment_pages`; `rule_options` is what the builder offers, `segment_links` turns filters of customers into a rule.
"""
