"""The HTTP server: collector protocol, JSON API, and the application that holds them with the console.

In a room, `..._routes` parse, call and answer; a `..._view` composes what a page and its JSON twin share.
Rooms: `insight`, `customers`, `segments`, `offers`, `outreach`, `recommendations`, `models`, `data`, `privacy`, and
`access` (who asks, and whether they may). `server` is below the application, `openapi` its description.
Application: `application` builds it, `server_routes` say whether it is well; `answer_cache` is shared with pages.
Requests: `application_bodies`, `known_parameters`, `integer_bounds`, `as_of_switch` (a past run).
Refusals: `refusals` is their one shape, `error_status` their status.
Lists: `cursors`; as CSV `list_file`, `csv_answers` and `csv_response`.
"""
