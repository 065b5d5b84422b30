"""The OpenAPI document: what each path takes, answers and needs.

`openapi_document` makes it, with `operation_names` (what a client's methods are called), `openapi_examples` and
`openapi_webhooks` (what endpoints of the shop are sent).
"""
