"""E-mails rendered, signed and handed over to a local SMTP server: messages a second, and processor time of each part.

    python benchmarks/campaigns/email_channel.py [--count 20000] [--connections 4]

The server is `aiosmtpd` in a process of its own on the same machine. There is no store here: `send_100k.py` measures a
whole campaign.
"""

import argparse
import asyncio
import hashlib
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from patron.engage.channels.channel import OutgoingMessage
from patron.engage.channels.dkim import DkimSigner, new_key
from patron.engage.channels.email import EmailChannel
from patron.engage.templates.message_template import MessageTemplate
from patron.storage.outreach.campaign_file import Template
from patron.storage.outreach.email_settings import EmailSettings

AT = datetime(2024, 3, 1, tzinfo=UTC)
BODY = """<mjml><mj-head><mj-style>.deal { color: #cc0000 }</mj-style></mj-head><mj-body>
<mj-section><mj-column><mj-text>Hi {{ customer.first_name | default: "you" }},</mj-text>
<mj-text>here is <b class="deal">{{ offer.name }}</b>, valid until {{ offer.until }}.</mj-text>
<mj-table>{% for one in products %}<tr><td>{{ one.name }}</td><td>{{ one.price }}</td></tr>{% endfor %}</mj-table>
<mj-button href="https://shop.example/?c={{ offer.code }}">To the shop</mj-button>
<mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a> <a href="{{ preferences_url }}">Settings</a></mj-text>
</mj-column></mj-section></mj-body></mjml>"""
PRODUCTS = [{"name": f"Tea {n}", "price": f"{n}.50"} for n in range(5)]


def messages(template: MessageTemplate, count: int) -> Iterator[OutgoingMessage]:
    """One message a person, rendered when it is taken."""
    for number in range(count):
        token = hashlib.sha256(str(number).encode()).hexdigest()
        values = {
            "customer": {"first_name": f"Anna {number}"},
            "offer": {"name": "10 % off", "until": "15 March", "code": "TEN"},
            "products": PRODUCTS,
            "unsubscribe_url": f"https://shop.example/u/{token}",
            "preferences_url": f"https://shop.example/p/{token}",
        }
        one = template.render(values)
        address = f"anna{number}@customers.example"
        yield OutgoingMessage(token[:32], address, f"Anna {number}", one.subject, one.text, one.html, "offers", token)


async def send(channel: EmailChannel, template: MessageTemplate, count: int) -> int:
    """How many messages the server took."""
    return sum([answer.outcome == "sent" async for answer in channel.hand_over(messages(template, count))])


def server(port: int) -> subprocess.Popen[bytes]:
    """A server that takes every message and keeps none."""
    command = [sys.executable, "-m", "aiosmtpd", "-n", "-c", "aiosmtpd.handlers.Sink", "-l", f"127.0.0.1:{port}"]
    running = subprocess.Popen(command)  # noqa: S603 - of this file
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return running


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=4)
    options = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "dkim.pem"
        file.write_bytes(new_key())
        signer = DkimSigner.load(file, domain="shop.example", selector="patron")
    settings = EmailSettings(
        host="127.0.0.1",
        port=port,
        security="none",
        from_address="shop@shop.example",
        public_url="https://shop.example",
        connections=options.connections,
    )
    channel = EmailChannel(settings, "Shop", lambda: AT, signer)
    template = MessageTemplate.of(Template(subject="For {{ customer.first_name }}", body=BODY, format="mjml"), "en")
    sample = list(messages(template, 1_000))
    start = time.process_time()
    list(messages(template, 1_000))
    print(f"render: {time.process_time() - start:.2f} ms of processor a message")
    start = time.process_time()
    sizes = [len(channel.content(one, one.recipient)) for one in sample]
    milliseconds = time.process_time() - start
    print(
        f"MIME and DKIM (RSA-2048): {milliseconds:.2f} ms of processor a message of {sum(sizes) // len(sizes):,} bytes"
    )
    running = server(port)
    try:
        wall, processor = time.perf_counter(), time.process_time()
        count = asyncio.run(send(channel, template, options.count))
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
    finally:
        running.terminate()
        running.wait()
    per_message = processor / count * 1_000
    print(f"sent: {count:,} in {wall:.0f} s ({count / wall:.0f} a second), {per_message:.2f} ms of processor each")
    print(f"100,000 at this rate: {100_000 / count * wall / 60:.1f} minutes")
    print(f"memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB at most")


if __name__ == "__main__":
    main()
