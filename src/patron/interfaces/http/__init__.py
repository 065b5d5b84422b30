"""The HTTP server: collector protocol, JSON API, and the application that holds them with the console.

In a room, `..._routes` list its operations, which `operation_routes` makes routes, and hold what needs the request; a
`..._view` composes what an answer may not, as it needs a service or a command.
Rooms: `insight`, `customers`, `segments`, `offers`, `outreach`, `recommendations`, `models`, `data`, `privacy`, and
`access` (who asks, and whether they may). `server` is below the application, `openapi` its description.
Application: `application` builds it, `server_routes` say whether it is well; `answer_cache` is what it keeps.
Requests: `application_bodies`, `known_parameters`, `integer_bounds`, `as_of_switch` (a past run), `page_turns`.
Refusals: `refusals` is their one shape, `error_status` their status.
Lists as CSV: `list_file`, `csv_answers` and `csv_response`.
"""
