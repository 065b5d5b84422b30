"""Names of operations in the OpenAPI document: what a client's methods are called."""

READS_A_PAGE = frozenset({"page", "cursor", "before"})
"""Parameters of operations that list something page by page."""
NAMES = {
    "GET /api/brief": "get_brief",
    "GET /api/segment-fields": "get_segment_fields",
    "GET /api/questions/ask": "ask_question",
    "GET /api/runs/compare": "compare_runs",
    "GET /api/segments/{name}/comparison/{other}": "compare_segments",
    "GET /api/recommendations/preview": "preview_recommendations",
    "POST /api/campaigns": "save_campaign",
    "POST /api/campaigns/{name}/result": "measure_campaign",
    "POST /api/campaigns/{name}/trial": "try_campaign",
    "POST /api/customers/lookup": "look_up_customer",
    "POST /api/customers/search": "search_customers",
    "POST /api/customers/{customer_id}/reveal": "reveal_contacts",
    "POST /api/decisions/lookup": "look_up_decision",
    "POST /api/journeys": "save_journey",
    "POST /api/journeys/{name}/result": "measure_journey",
    "POST /api/people/explanation": "explain_to_person",
    "POST /api/people/export": "export_person",
    "POST /api/people/forget": "forget_person",
    "POST /api/receipts": "receive_receipts",
    "POST /api/recommendations": "recommend",
    "POST /api/recommendations/batch": "recommend_to_many",
    "POST /api/retention/costs": "enter_acquisition_costs",
    "POST /api/season": "enter_season",
    "POST /api/segments/count": "count_segment",
    "POST /v1/track": "track",
    "POST /v1/identify": "identify",
    "POST /v1/page": "page",
    "POST /v1/screen": "screen",
    "POST /v1/group": "group",
    "POST /v1/alias": "alias",
    "POST /v1/batch": "send_batch",
    "POST /v1/import": "import_history",
}
"""Names that do not follow from method and path."""
TAGS = {"/api/collector": "ingestion"}
"""Tags that do not follow from the path: the tag `collector` is for what sends events."""
VERBS = {"POST": "create", "PUT": "save", "PATCH": "change", "DELETE": "delete"}


def operation_name(method: str, path: str, *, is_list: bool) -> str:
    """Name of an operation, such as list_customers, get_customer or approve_campaign; unique by method and path."""
    if name := NAMES.get(f"{method} {path}"):
        return name
    parts = [part for part in path.strip("/").split("/") if part != "api"]
    followers = [*parts[1:], ""]
    words = [
        _singular(part) if _is_parameter(follower) else part
        for part, follower in zip(parts, followers, strict=True)
        if not _is_parameter(part)
    ]
    is_step = method == "POST" and len(parts) > 2 and _is_parameter(parts[-2])
    if is_step:
        words = [words[-1], *words[:-1]]
    elif method == "GET":
        words = ["list" if is_list else "get", *words]
    else:
        words = [VERBS[method], *words[:-1], _singular(words[-1])]
    return "_".join(words).replace("-", "_").replace(".", "_")


def operation_tag(path: str) -> str:
    """What an operation is about, such as customers: the first word of its address; clients group by it."""
    first, *rest = path.strip("/").split("/")
    return TAGS.get(path) or (rest[0].replace("-", "_") if first == "api" else "service")


def _is_parameter(part: str) -> bool:
    return part.startswith("{")


def _singular(word: str) -> str:
    return f"{word[:-3]}y" if word.endswith("ies") else word.removesuffix("s")
