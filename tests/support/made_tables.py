"""Tables whose truth is known, clean or with one planted fault, for the tests of `patron.tabular`."""

import numpy as np
import pyarrow as pa


def clean_table(rows=1500, seed=0, columns=8):
    """Numbers of several shapes, two texts; three columns and a text say something, the rest nothing."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, columns))
    numbers[:, 3] = np.exp(numbers[:, 3])
    numbers[:, 4] = rng.poisson(3, rows)
    channel, city = rng.integers(0, 3, rows), rng.integers(0, 30, rows)
    odds = 0.8 * numbers[:, 0] - 0.7 * numbers[:, 1] + 0.4 * (numbers[:, 4] - 3) + 0.6 * (channel == 1) - 0.8
    label = (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(int)
    texts = {"channel": np.array(["web", "app", "shop"])[channel], "city": [f"city {one}" for one in city]}
    return pa.table({**{f"x{at}": numbers[:, at] for at in range(columns)}, **texts, "churned": label})


def with_column(table, name, values):
    """The table with one more column."""
    return table.append_column(name, pa.array(values))


def label_of(table):
    """The label as an array."""
    return table["churned"].to_numpy()


def with_near_duplicates(table, share=0.3, noise=0.01, seed=5):
    """Copies of some rows, their numbers blurred by a share of each column's standard deviation."""
    rng = np.random.default_rng(seed)
    copies = table.take(rng.choice(table.num_rows, int(share * table.num_rows), replace=False))
    for at, field in enumerate(copies.schema):
        if pa.types.is_floating(field.type):
            spread = table[field.name].to_numpy().std()
            blurred = copies[field.name].to_numpy() + rng.normal(0, noise * spread, copies.num_rows)
            copies = copies.set_column(at, field.name, pa.array(blurred))
    both = pa.concat_tables([table, copies])
    return both.take(rng.permutation(both.num_rows))


def customers_with_many_rows(name="customer_id", customers=300, each=6, seed=2):
    """Rows of the same customer are alike and have nearly always the same label: whoever knows them needs no model."""
    rng = np.random.default_rng(seed)
    traits = rng.normal(size=(customers, 6))
    churns = rng.random(customers) < 1 / (1 + np.exp(-(0.7 * traits[:, 0] - 0.5)))
    who = rng.permutation(np.repeat(np.arange(customers), each))
    numbers = traits[who] + rng.normal(0, 0.05, (len(who), 6))
    label = np.where(rng.random(len(who)) < 0.1, ~churns[who], churns[who]).astype(int)
    keys = [f"k{7919 * one % 100_003:06d}" for one in who]
    return pa.table({name: keys, **{f"x{at}": numbers[:, at] for at in range(6)}, "churned": label})


def balanced_by_interpolation(table, seed=3):
    """The numbers of a table with rows of the rarer class made up between two others, until both are as many."""
    rng = np.random.default_rng(seed)
    names = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    numbers = np.column_stack([table[name].to_numpy() for name in names])
    label = label_of(table)
    rarer = numbers[label == 1]
    scaled = rarer / rarer.std(axis=0)
    near = np.argsort(((scaled[:, None, :] - scaled[None, :, :]) ** 2).sum(axis=2), axis=1)[:, 1:6]
    first = rng.integers(0, len(rarer), int((label == 0).sum() - label.sum()))
    second = near[first, rng.integers(0, 5, len(first))]
    made = rarer[first] + rng.random((len(first), 1)) * (rarer[second] - rarer[first])
    order = rng.permutation(len(label) + len(made))
    numbers, label = np.vstack([numbers, made])[order], np.append(label, np.ones(len(made), dtype=int))[order]
    return pa.table({**{name: numbers[:, at] for at, name in enumerate(names)}, "churned": label})


def balanced_by_copies(table, seed=3):
    """The table with rows of the rarer class repeated until both are as many."""
    rng = np.random.default_rng(seed)
    label = label_of(table)
    extra = rng.choice(np.flatnonzero(label == 1), int((label == 0).sum() - label.sum()))
    return table.take(rng.permutation(np.concatenate([np.arange(len(label)), extra])))


def monthly_table(rows=2400, months=8, seed=4, shift_from=None):
    """Rows of several months; from one month on the outcome is far more frequent at the same columns."""
    rng = np.random.default_rng(seed)
    month = np.sort(rng.integers(0, months, rows))
    first, second = rng.normal(size=rows), rng.exponential(size=rows)
    odds = first - 0.8 * second - 0.5
    if shift_from is not None:
        odds = odds + 1.5 * (month >= shift_from)
    label = (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(int)
    age = 30 * month + rng.integers(0, 20, rows)
    text = [f"2025-{one + 1:02d}" for one in month]
    return pa.table({"first": first, "second": second, "account_age": age, "month": text, "churned": label})
