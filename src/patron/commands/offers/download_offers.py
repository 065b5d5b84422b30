"""Take the offers of a run out of the outbox as a file, for a mail system of the shop's own."""

import csv
import io

from patron.commands.access.record_list_export import record_list_export
from patron.engage.outbox_offers import OFFERS
from patron.govern.access.request_context import RequestContext
from patron.schema.access.audit_actions import ExportedList
from patron.schema.errors import NotFound
from patron.schema.sentences import Sentence
from patron.storage.offers.deliveries import delivery_of

NO_OFFERS_FILE = Sentence("no_offers_file", "the outbox has no offers of the run {run}")
SEE_OUTBOX_LIST = Sentence("see_outbox_list", "`patron outbox list` says what became of them.")


def download_offers(context: RequestContext, run_id: str) -> bytes:
    """The CSV file of a run's offers that waits in the outbox, or was sent from there; the audit log has who took it.

    The file stays where it is, and its offers count as sent once somebody confirms that. Raises NotFound without one.
    """
    shop = context.shop
    known = delivery_of(shop.store, run_id)
    files = sorted((shop.folder / "outbox" / run_id).glob(OFFERS)) if known is not None and known.holds else []
    try:
        content = files[0].read_bytes()
    except (IndexError, FileNotFoundError):  # why: a mail system may take it at any time
        raise NotFound(NO_OFFERS_FILE(run=run_id), where="run", todo=SEE_OUTBOX_LIST) from None
    rows = sum(1 for _ in csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    record_list_export(context, ExportedList.OFFERS, row_count=max(rows - 1, 0), query=run_id)
    return content
