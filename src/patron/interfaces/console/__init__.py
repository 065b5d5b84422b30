"""The console: pages for people, rendered on the server; every state is an address with a JSON twin.

In a room, `..._pages` parse, call and render, `..._texts` make sentences; its templates are `templates/<room>`.
Rooms: `insight` (Today, overview, retention, experiments, Explore), `customers`, `segments`, `offers`, `outreach`,
`recommendations`, `models`, `data`, `privacy`, `access`.
Every page: `mount` adds all to the application, `navigation` lists them, `page_frame` is what they share, `templating`
the environment of templates; `as_of_addresses` keeps a past run in links.
Ahead: `page_preparation` computes what the first readers would wait for.
For developers: `styleguide_pages` shows all components, `page_walk` follows all links, `screenshots` photographs them.
"""
