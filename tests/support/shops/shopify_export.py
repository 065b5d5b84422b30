"""A small order export as Shopify writes it: orders of several lines, shipping, discounts, refunds, unpaid orders."""

import csv
import io
from datetime import datetime, timedelta

import numpy as np

HEADER = [
    "Name",
    "Email",
    "Financial Status",
    "Paid at",
    "Fulfillment Status",
    "Fulfilled at",
    "Accepts Marketing",
    "Currency",
    "Subtotal",
    "Shipping",
    "Taxes",
    "Total",
    "Discount Code",
    "Discount Amount",
    "Shipping Method",
    "Created at",
    "Lineitem quantity",
    "Lineitem name",
    "Lineitem price",
    "Lineitem compare at price",
    "Lineitem sku",
    "Lineitem requires shipping",
    "Lineitem taxable",
    "Lineitem fulfillment status",
    "Billing Name",
    "Billing Street",
    "Billing City",
    "Billing Zip",
    "Billing Country",
    "Shipping Country",
    "Notes",
    "Note Attributes",
    "Cancelled at",
    "Payment Method",
    "Refunded Amount",
    "Vendor",
    "Id",
    "Tags",
    "Source",
    "Phone",
]
GOODS = [("Mug - Blue / Large", "MUG-BL", 1450), ("Tea pot", "POT", 3990), ("Green tea, 100 g", "TEA-G", 890)]


def time_text(at: datetime) -> str:
    """Time as Shopify writes it."""
    return at.strftime("%Y-%m-%d %H:%M:%S %z")


def orders(customers: int, first: datetime, days: int, seed: int = 5) -> list[dict[str, object]]:
    """Orders in the order of their time; status and refund are what the export shows."""
    rng = np.random.default_rng(seed)
    found = []
    for customer in range(customers):
        at = first + timedelta(days=float(rng.uniform(0, days / 2)))
        while at < first + timedelta(days=days):
            goods = [
                (*GOODS[place], int(rng.integers(1, 4))) for place in rng.choice(3, rng.integers(1, 4), replace=False)
            ]
            found.append({"at": at, "customer": customer, "goods": goods, "draw": float(rng.random())})
            at += timedelta(days=float(rng.exponential(35)) + 1)
    return sorted(found, key=lambda order: order["at"])


def rows_of(number: int, order: dict) -> list[dict[str, str]]:
    """Rows of one order: what belongs to the order stands on its first row."""
    subtotal = sum(cents * count for _, _, cents, count in order["goods"])
    discount = subtotal // 10 if order["draw"] > 0.8 else 0
    shipping = 490 if subtotal - discount < 5000 else 0
    total = subtotal - discount + shipping
    status, refunded, cancelled = "paid", 0, ""
    if order["draw"] < 0.05:
        status, refunded = "refunded", total
    elif order["draw"] < 0.09:
        status, refunded = "partially_refunded", order["goods"][0][2]
    elif order["draw"] < 0.12:
        status = "pending"
    elif order["draw"] < 0.13:
        status, refunded, cancelled = "refunded", total, time_text(order["at"] + timedelta(days=2))
    name, at = f"#{number}", time_text(order["at"])
    first = {
        "Email": f"Customer{order['customer']}@Example.com",
        "Financial Status": status,
        "Paid at": "" if status == "pending" else at,
        "Fulfillment Status": "fulfilled",
        "Accepts Marketing": "yes" if order["customer"] % 3 == 0 else "no",
        "Currency": "EUR",
        "Subtotal": f"{(subtotal - discount) / 100:.2f}",
        "Shipping": f"{shipping / 100:.2f}",
        "Taxes": f"{total * 0.19 / 1.19 / 100:.2f}",
        "Total": f"{total / 100:.2f}",
        "Discount Code": "SPRING" if discount else "",
        "Discount Amount": f"{discount / 100:.2f}",
        "Shipping Method": "Standard",
        "Billing Name": f"Customer {order['customer']}",
        "Billing Zip": "'10115",
        "Billing Country": "DE",
        "Shipping Country": "DE",
        "Notes": "Please ring\ntwice" if number % 7 == 0 else "",
        "Cancelled at": cancelled,
        "Payment Method": "Shopify Payments",
        "Refunded Amount": f"{refunded / 100:.2f}",
        "Id": str(5_000_000_000_000 + number),
        "Source": "web",
    }
    rows = []
    for place, (title, sku, cents, count) in enumerate(order["goods"]):
        line = {
            "Name": name,
            "Email": first["Email"],
            "Created at": at,
            "Lineitem quantity": str(count),
            "Lineitem name": title,
            "Lineitem price": f"{cents / 100:.2f}",
            "Lineitem sku": sku,
            "Lineitem requires shipping": "true",
            "Lineitem taxable": "true",
            "Vendor": "Tea & Co",
        }
        rows.append(line | (first if place == 0 else {}))
    return rows


def export(customers: int, first: datetime, days: int) -> tuple[str, list[dict[str, str]]]:
    """The file's text, and its rows; the newest order comes first, as in Shopify."""
    numbered = list(enumerate(orders(customers, first, days), 1001))
    rows = [row for number, order in reversed(numbered) for row in rows_of(number, order)]
    file = io.StringIO()
    writer = csv.DictWriter(file, HEADER, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue(), rows
