"""Counters as Prometheus reads them."""

from patron.schema.data.collector_state import CollectorState

HELP = {
    "accepted": "Messages that arrived and were answered with 200.",
    "stored": "Messages that are or will be rows of events.",
    "duplicate": "Messages that had arrived before.",
    "rejected": "Messages that are dead letters.",
}


def metrics_text(state: CollectorState) -> str:
    """Text format 0.0.4: accepted is always stored + duplicate + rejected."""
    lines = []
    for name, meaning in HELP.items():
        full = f"patron_messages_{name}_total"
        lines += [f"# HELP {full} {meaning}", f"# TYPE {full} counter"]
        lines += [
            f'{full}{{source="{_escaped(counter.source)}"}} {getattr(counter, name)}' for counter in state.counters
        ]
    waiting, trouble = "patron_inbox_waiting_requests", "patron_collector_trouble"
    lines += [f"# HELP {waiting} Requests on disk that are not in the lake yet.", f"# TYPE {waiting} gauge"]
    lines += [f"{waiting} {state.waiting_requests}"]
    lines += [f"# HELP {trouble} 1 when nothing is accepted or nothing moves.", f"# TYPE {trouble} gauge"]
    lines += [f"{trouble} {int(bool(state.trouble))}"]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
