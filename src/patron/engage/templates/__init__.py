"""What a message says: templates that marketers write, rendered for each person.

`message_template` is the template in its languages, compiled once; `liquid_environment` bounds what it may do.
Variables: `customer_names`, `product_variables`, and `message_links`, which every message has.
What a sandbox compiles: `template_compilation`; its HTML, into which `html_compilation` puts styles inline,
and the text part.
"""
