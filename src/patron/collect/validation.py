"""Why a raw event is rejected, in SQL, and the message of each reason."""

from collections.abc import Iterable

from patron.collect.files.mapping import AMOUNTS
from patron.collect.segment_message import NOBODY
from patron.schema.amounts import MAX_CENTS
from patron.schema.data.dead_letter_reasons import WITHOUT_CONTENT, rejection_text
from patron.schema.events import OF_PRODUCTS

MAX_UNITS = 1_000_000_000
"""More units than these, or cents than MAX_CENTS, are a mistake: a barcode in the wrong column."""


def _worth(of: str) -> str:
    """Price times quantity, without a limit of its own."""
    return f"cast({of}price_cents as double) * {of}quantity"


def problem_message(problem: str, order_id: str | None = None) -> tuple[str, str]:
    """Split a problem into its reason code and its message, which names the order if its content may be kept."""
    code, _, detail = problem.partition(":")
    message = rejection_text(code, detail)
    return code, f"order {order_id}: {message}" if order_id and code not in WITHOUT_CONTENT else message


def validation_sql(inner: str, currencies: Iterable[str]) -> str:
    """Wrap a query of raw events: ids of nobody become NULL, and `problem` says what is wrong."""
    nobody = ", ".join(f"'{word}'" for word in sorted(NOBODY))

    def somebody(column: str) -> str:
        is_placeholder_id = f"lower({column}) in ({nobody}) or regexp_full_match({column}, '[0-]*')"
        return f"case when {is_placeholder_id} then null else {column} end as {column}"

    known = ", ".join(f"'{code}'" for code in sorted(currencies))
    return f"""
    select * replace (coalesce(problem, case
        when event_id is null or event_id = '' then 'missing_event_id'
        when name is null or name = '' then 'missing_name'
        when occurred_at is null then 'missing_time:'
        when occurred_at < timestamptz '1970-01-01 00:00:00+00' or occurred_at >= timestamptz '2100-01-01 00:00:00+00'
            then 'impossible_time'
        when user_id is null and anonymous_id is null and name not in {OF_PRODUCTS} then 'missing_id'
        when quantity < 0 or list_bool_or([p.quantity < 0 for p in products]) then 'negative_quantity'
        when price_cents < 0 then 'negative_amount'
        when quantity > {MAX_UNITS} or list_bool_or([p.quantity > {MAX_UNITS} for p in products])
            or greatest({", ".join(AMOUNTS.values())}, {_worth("")}) > {MAX_CENTS}
            or list_bool_or([greatest(p.price_cents, p.discount_cents, {_worth("p.")}) > {MAX_CENTS}
                for p in products]) then 'too_large'
        when currency not in ({known}) then 'unknown_currency:' || case when regexp_full_match(currency, '[A-Z]{{3}}')
            then currency else 'what stands in the currency column' end
        end) as problem)
    from (select * replace ({somebody("user_id")}, {somebody("anonymous_id")}) from ({inner}))
    """
