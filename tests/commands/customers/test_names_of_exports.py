"""Customers of a shop's export are found, shown and greeted by the name that the export has of them."""

import pyarrow as pa
import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

from patron.collect.files.file_import import import_files
from patron.commands.customers.customer_contacts import contacts_of
from patron.commands.customers.reindex_contacts import reindex_contacts
from patron.commands.data.doctor import doctor
from patron.engage.recipients import recipients
from patron.govern.vault import Vault, initial_customer_id
from patron.schema.tables import BY_NAME
from patron.service.customer_search import find_by_text
from patron.storage.customers.customer_tables import CONTACT_CARDS, NAME_WORDS
from patron.storage.migrations.versions import v0018_names_of_contact_cards

SHOPIFY = (
    "Name,Email,Financial Status,Currency,Subtotal,Shipping,Taxes,Total,Discount Code,Discount Amount,Created at,"
    "Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku,Cancelled at,Refunded Amount,"
    "Billing Name,Shipping Name\n"
)
ORDER = "{number},{email},paid,EUR,25.00,0,0,25.00,,0,2023-01-0{number} 10:00:00 +0000,1,Cup,25.00,CUP,,0,{names}\n"
NAMES = {
    "ann@x.example": ("Ann Lee,Bo Ek", "Ann", "Ann Lee"),
    "cy@x.example": (",Cy Fox", "Cy", "Cy Fox"),
    "wang@x.example": ("王小明,", "小明", "王小明"),
    "gmbh@x.example": ("Tee GmbH,", "", "Tee GmbH"),
    "dee@x.example": (",", "", ""),
}
WOOCOMMERCE = (
    "Order Number,Order Status,Order Date,Email (Billing),First Name (Billing),Last Name (Billing),"
    "First Name (Shipping),Last Name (Shipping),SKU,Item #,Item Name,Quantity (- Refund),Item Cost,Order Currency\n"
    "1,completed,2023-01-01 10:00,ann@x.example,Ann,Lee,Bo,Ek,CUP,1,Cup,1,25,EUR\n"
    "2,completed,2023-01-01 11:00,cy@x.example,,,Cy,Fox,CUP,1,Cup,1,25,EUR\n"
)


@pytest.fixture
def imported(shop, tmp_path, received_at):
    def imported(mapping: str, text: str, emails: list[str]) -> dict[str, str]:
        """Customer ids by address, of a shop that knows this file."""
        path = tmp_path / "orders.csv"
        path.write_text(text.replace("EUR", shop.settings.shop.currency), encoding="utf-8")
        import_files(shop, [str(path)], mapping=mapping, received_at=received_at)
        vault, table = Vault.open(shop), BY_NAME["identities"]
        tokens = [vault.token("user_id", email) for email in emails]
        rows = [
            {"token": token, "customer_id": initial_customer_id(token), "is_user": True, "known_at": received_at}
            for token in tokens
        ]
        shop.lake.replace(table, pa.Table.from_pylist(rows, schema=table.schema()))
        return dict(zip(emails, map(initial_customer_id, tokens), strict=True))

    return imported


@pytest.fixture
def of_shopify(imported):
    rows = [ORDER.format(number=n, email=email, names=names) for n, (email, (names, *_)) in enumerate(NAMES.items(), 1)]
    return imported("shopify", SHOPIFY + "".join(rows), list(NAMES))


def greeted(shop, ids):
    people = [person for batch in recipients(shop, ids.values()) for person in batch]
    first_names = (person.variables["customer"].get("first_name", "") for person in people)
    return dict(zip(ids, first_names, strict=True))


def test_customers_of_shopify_are_greeted_found_and_shown_by_their_own_name(shop, of_shopify):
    assert greeted(shop, of_shopify) == {email: first for email, (_, first, _) in NAMES.items()}
    contacts = contacts_of(shop, of_shopify.values())
    assert {email: contacts[who].name for email, who in of_shopify.items()} == {
        email: whole for email, (_, _, whole) in NAMES.items()
    }
    for text, found in (("lee", "ann@x.example"), ("小明", "wang@x.example"), ("Cy Fox", "cy@x.example")):
        assert find_by_text(shop, text) == (of_shopify[found],)
    assert find_by_text(shop, "Bo Ek") == ()  # a present's receiver is not the customer


def test_customers_of_woocommerce_are_called_by_the_bill_then_by_the_delivery(shop, imported):
    ids = imported("woocommerce", WOOCOMMERCE, ["ann@x.example", "cy@x.example"])
    assert greeted(shop, ids) == {"ann@x.example": "Ann", "cy@x.example": "Cy"}
    assert find_by_text(shop, "fox") == (ids["cy@x.example"],)


def test_a_workspace_of_before_is_told_to_read_its_names_and_does(shop, of_shopify):
    def names() -> list[tuple[str, str]]:
        return [(finding.level, str(finding.todo)) for finding in doctor(shop.folder) if finding.check == "names"]

    assert [status for status, _ in names()] == ["ok"]
    with shop.store.begin() as connection:
        connection.execute(sa.delete(NAME_WORDS))
        with Operations.context(MigrationContext.configure(connection)):
            v0018_names_of_contact_cards.upgrade()
    assert names() == [("warning", "Run `patron identity reindex`.")]
    assert find_by_text(shop, "lee") == ()
    reindex_contacts(shop)
    assert [status for status, _ in names()] == ["ok"]
    assert find_by_text(shop, "lee") == (of_shopify["ann@x.example"],)
    with shop.store.begin() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(CONTACT_CARDS)) == len(NAMES)
