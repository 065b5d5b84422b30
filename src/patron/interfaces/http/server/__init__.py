"""What is below the application: connections, bodies, headers, and the collector's wire protocol.

Start: `server` is `patron serve`, `listening` says where it may listen.
Collector: `collector_protocol`, raw ASGI, with the memory of `body_budget`.
What is read of the last run: `answer_forwarding` passes it on to the process `answer_server`.
Connections: `bounded_connection` bounds one, `connection_limits` all of them.
Headers: `security_headers`, `forwarded_headers` (a proxy that the settings do not name).
Operations: `health`, `prometheus`.
"""
