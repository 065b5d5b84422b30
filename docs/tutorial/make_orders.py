"""Write an order export as Shopify writes it, of a shop that does not exist: data for the tutorial.

`python make_orders.py orders.csv` writes the orders until 2024-03-01, `--until 2024-04-01` the same and a month more.
"""

import argparse
import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

OPENED = datetime(2022, 9, 1, tzinfo=UTC)
LAST = datetime(2024, 7, 1, tzinfo=UTC)
CUSTOMERS = 1200
PRODUCTS = [(f"Tea {name}", f"TEA-{place:02}", 6.5 + 1.5 * place) for place, name in enumerate("ABCDEFGHIJKL")]
FIRST_NAMES = (
    *("Anna", "Ben", "Clara", "David", "Elif", "Felix", "Greta", "Hannah", "Ivan", "Jana", "Karim", "Lea", "Max"),
    *("Nadia", "Oskar", "Paula", "Rosa", "Sven", "Tariq", "Vera"),
)
LAST_NAMES = (
    *("Albrecht", "Böhm", "Celik", "Diallo", "Engel", "Fischer", "Grün", "Hoffmann", "Ivanova", "Jansen", "Keller"),
    *("Lindner", "Müller", "Novak", "Okafor", "Peters", "Richter", "Schuster", "Toth", "Weber"),
)
HEADER = [
    *("Name", "Email", "Financial Status", "Paid at", "Currency", "Subtotal", "Shipping", "Taxes", "Total"),
    *("Discount Code", "Discount Amount", "Created at", "Lineitem quantity", "Lineitem name", "Lineitem price"),
    *("Lineitem sku", "Billing Name", "Billing Country", "Shipping Country", "Phone", "Cancelled at"),
    *("Refunded Amount", "Source"),
]


def visits() -> list[tuple[datetime, int]]:
    """Time and customer of every order: customers come at a rhythm of their own, and one day stay away."""
    rng = np.random.default_rng(7)
    orders = []
    for customer in range(CUSTOMERS):
        at = OPENED + timedelta(days=float(rng.uniform(0, 600)), hours=float(rng.uniform(8, 21)))
        days_between_orders, chance_of_leaving = float(rng.gamma(3.0, 15.0)) + 5, float(rng.beta(1.2, 5.0))
        while at < LAST:
            orders.append((at, customer))
            if rng.random() < chance_of_leaving:
                break
            at += timedelta(days=float(rng.exponential(days_between_orders)) + 1)
    return sorted(orders)


def rows() -> list[tuple[datetime, list[dict[str, str]]]]:
    """Every order with its rows; what belongs to the order stands on its first row, as in Shopify's export."""
    rng = np.random.default_rng(8)
    orders = []
    for number, (at, customer) in enumerate(visits(), 1001):
        basket = [
            (PRODUCTS[place], int(rng.integers(1, 4))) for place in rng.choice(12, rng.integers(1, 4), replace=False)
        ]
        subtotal = sum(price * count for (_, _, price), count in basket)
        discount = round(subtotal * 0.1, 2) if rng.random() < 0.2 else 0.0
        refunded = round(subtotal - discount, 2) if rng.random() < 0.03 else 0.0
        text = at.strftime("%Y-%m-%d %H:%M:%S +0000")
        first = {
            "Email": f"customer{customer}@example.com",
            "Financial Status": "refunded" if refunded else "paid",
            "Paid at": text,
            "Currency": "EUR",
            "Subtotal": f"{subtotal - discount:.2f}",
            "Shipping": "4.90",
            "Taxes": "0.00",
            "Total": f"{subtotal - discount + 4.90:.2f}",
            "Discount Code": "TEA10" if discount else "",
            "Discount Amount": f"{discount:.2f}",
            "Billing Name": f"{FIRST_NAMES[customer % 20]} {LAST_NAMES[customer // 20 % 20]}",
            "Billing Country": "DE",
            "Shipping Country": "DE",
            "Refunded Amount": f"{refunded:.2f}",
            "Source": "web",
        }
        lines = [
            {
                **(first if place == 0 else {"Email": first["Email"]}),
                "Name": f"#{number}",
                "Created at": text,
                "Lineitem quantity": str(count),
                "Lineitem name": name,
                "Lineitem price": f"{price:.2f}",
                "Lineitem sku": sku,
            }
            for place, ((name, sku, price), count) in enumerate(basket)
        ]
        orders.append((at, lines))
    return orders


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--until", type=lambda text: datetime.fromisoformat(text).replace(tzinfo=UTC))
    parser.set_defaults(until=datetime(2024, 3, 1, tzinfo=UTC))
    options = parser.parse_args()
    with options.path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, HEADER)
        writer.writeheader()
        for at, lines in rows():
            if at < options.until:
                writer.writerows(lines)


if __name__ == "__main__":
    main()
