"""Reasons of rejected events, by what can be done: nothing, repair the file, or fix the data."""

from patron.schema.sentences import Sentence, Text

FORGOTTEN = "forgotten"
"""The event is about a customer who was forgotten."""
NO_CONSENT = "no_consent"
"""The customer has not consented to what the event's type needs."""
WITHOUT_CONTENT = (FORGOTTEN, NO_CONSENT)
"""Nothing can be replayed, and nothing is to be fixed."""
UNREADABLE = ("bad_row", "cut_off")
"""The line could not be split into columns, so that only a repaired file helps, and no replay."""
FAULTS = frozenset(
    {
        "missing_event_id",
        "missing_name",
        "missing_time",
        "bad_time",
        "impossible_time",
        "missing_id",
        "bad_number",
        "bad_quantity",
        "negative_quantity",
        "too_large",
        "negative_amount",
        "unknown_currency",
        "bad_row",
        "cut_off",
        "bad_event",
        "unknown_event",
    }
)
"""What is wrong with data. Any other reason leaves a row out on purpose: a rule of the mapping, or a promise."""
REASONS = {
    "missing_event_id": Sentence("rejection.missing_event_id", "the event has no id; give each event its own"),
    "missing_name": Sentence("rejection.missing_name", "the event has no name"),
    "missing_time": Sentence(
        "rejection.missing_time", "it does not say when it happened{detail}; fill the column or change the mapping"
    ),
    "bad_time": Sentence(
        "rejection.bad_time", "{detail} is not a time the mapping can read; state its format in the mapping"
    ),
    "impossible_time": Sentence(
        "rejection.impossible_time", "it happened before 1970 or after 2100; fix the time or its format in the mapping"
    ),
    "missing_id": Sentence(
        "rejection.missing_id", "no user or anonymous id; fill the id, or let the mapping make an anonymous one"
    ),
    "bad_number": Sentence(
        "rejection.bad_number", "{detail} is not a number as the mapping expects it; fix the row or set decimal_comma"
    ),
    "bad_quantity": Sentence("rejection.bad_quantity", "{detail} is not a whole number; fix the row"),
    "negative_quantity": Sentence(
        "rejection.negative_quantity",
        "negative quantity; send refunds as refund events or map them in the mapping file",
    ),
    "too_large": Sentence("rejection.too_large", "a quantity or amount is too large to be true; is it another column?"),
    "negative_amount": Sentence(
        "rejection.negative_amount", "negative amount; send refunds as refund events or map them in the mapping file"
    ),
    "unknown_currency": Sentence(
        "rejection.unknown_currency",
        "no rate for {detail}; add one to [rates] in patron.toml or, if it is the shop's own, set currency there, and"
        " replay",
    ),
    "bad_row": Sentence(
        "rejection.bad_row",
        "the row has another number of columns than the header, or is not a JSON object; fix it or its quotes",
    ),
    "cut_off": Sentence(
        "rejection.cut_off", "the last line is cut off: the file was not written or copied to its end; export it again"
    ),
    "bad_event": Sentence("rejection.bad_event", "{detail}"),
    "not_a_sale": Sentence(
        "rejection.not_a_sale",
        "a fee, sample or correction of the books, not a purchase of a customer; left out of orders",
    ),
    "stock_adjustment": Sentence(
        "rejection.stock_adjustment", "a change of the stock without a customer or a price; left out of orders"
    ),
    "not_paid": Sentence(
        "rejection.not_paid", "the order is not paid (yet); a later export in which it is paid will store it"
    ),
    "unknown_event": Sentence("rejection.unknown_event", "{detail} is not an event of the mapping; add a rule for it"),
    "no_consent": Sentence(
        "rejection.no_consent",
        "the customer did not consent to the purpose in the policy's events_need; its content is not kept",
    ),
    "forgotten": Sentence("rejection.forgotten", "the customer was forgotten; events about them are not kept"),
}
"""Reason codes and their messages; the detail names a column or a currency, never a personal value."""
OF_MAPPING = Sentence("rejection.of_mapping", "the mapping calls it {reason}")


def rejection_text(reason: str, detail: str) -> Text:
    """The message of a reason, which is one of ours or of the mapping."""
    sentence = REASONS.get(reason)
    if sentence is None:
        return OF_MAPPING(reason=reason)
    return sentence(detail=detail) if sentence.places else sentence


def stored_rejection(reason: str, message: str) -> Text:
    """A message as it was written: the rows keep its text and the reason, from which its values follow."""
    sentence = REASONS.get(reason)
    values = sentence.values_in(message) if sentence else None
    return Text(message, sentence.code, values) if sentence and values is not None else Text(message)
