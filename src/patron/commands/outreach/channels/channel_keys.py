"""Keys and secrets that channels sign with: files of the workspace that only its owner can read, made once."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from patron.engage.channels.dkim import DkimSigner, dns_record, new_key
from patron.engage.channels.web_push import load_push_key, new_push_key, public_push_key
from patron.engage.channels.webhook import webhook_keys
from patron.engage.providers.standard_webhooks import new_secret
from patron.storage.durable_files import make_private, write_durably
from patron.storage.shop import Shop

KEY_FILE = "dkim.pem"
SELECTOR = "patron"
PUSH_KEY_FILE = "push.pem"
SECRET_FILE = "webhook.secret"  # noqa: S105 - the name of a file


@dataclass(frozen=True)
class DkimKey:
    """A key: where it is, and what the domain name system must say."""

    file: str
    record_name: str
    record: str
    is_new: bool


@dataclass(frozen=True)
class PushKey:
    """A key of web push: where it is, and what a page subscribes with."""

    file: str
    public_key: str
    page_script: str
    """Script for the page; it needs the shop's write key and user id."""
    worker_script: str
    """Script of the service worker, a file of its own."""
    is_new: bool


@dataclass(frozen=True)
class WebhookSecret:
    """File of the secrets that sign webhooks."""

    file: str
    is_new: bool


def make_dkim_key(shop: Shop, *, selector: str = SELECTOR, file: str = KEY_FILE) -> DkimKey:
    """Make a key in the workspace that only its owner can read, unless there is one; return its DNS record.

    Raises ChannelUnavailable for a file that is no key.
    """
    path = shop.folder / file
    is_new = _make_once(path, new_key)
    domain = shop.settings.channels.email.domain or "YOUR.DOMAIN"
    DkimSigner.load(path, domain=domain, selector=selector)
    return DkimKey(str(path), f"{selector}._domainkey.{domain}", dns_record(path.read_bytes()), is_new=is_new)


def make_push_key(shop: Shop, *, file: str = PUSH_KEY_FILE) -> PushKey:
    """Make a key in the workspace that only its owner can read, unless there is one. Raises ChannelUnavailable."""
    path = shop.folder / file
    is_new = _make_once(path, new_push_key)
    public_key = public_push_key(load_push_key(path))
    return PushKey(str(path), public_key, PAGE_SCRIPT.replace("PUBLIC_KEY", public_key), WORKER_SCRIPT, is_new=is_new)


def make_webhook_secret(shop: Shop, *, file: str = SECRET_FILE) -> WebhookSecret:
    """Make a secret in the workspace that only its owner can read, unless there is one. Raises ChannelUnavailable."""
    path = shop.folder / file
    is_new = _make_once(path, _secret_line)
    webhook_keys(file, shop.folder)
    return WebhookSecret(str(path), is_new=is_new)


def _secret_line() -> bytes:
    return f"{new_secret()}\n".encode()


def _make_once(path: Path, content: Callable[[], bytes]) -> bool:
    """Write a file unless it is there; whether it is new."""
    if path.exists():
        return False
    write_durably(path, content())
    make_private(path)
    return True


PAGE_SCRIPT = """\
// On a page where a customer is signed in; call it from a button, as browsers want a click.
async function allowNotifications(patron, writeKey, userId) {
  if ((await Notification.requestPermission()) !== "granted") return;
  await navigator.serviceWorker.register("/push-worker.js");
  const worker = await navigator.serviceWorker.ready;
  const options = { userVisibleOnly: true, applicationServerKey: "PUBLIC_KEY" };
  const subscription = await worker.pushManager.subscribe(options);
  await fetch(`${patron}/v1/identify`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Basic ${btoa(`${writeKey}:`)}` },
    body: JSON.stringify({ userId, traits: { web_push_subscription: JSON.stringify(subscription) } }),
  });
}
"""
WORKER_SCRIPT = """\
// push-worker.js, at the top of the site.
self.addEventListener("push", (event) => {
  const { title, body, message_id, url } = event.data.json();
  event.waitUntil(self.registration.showNotification(title, { body, tag: message_id, data: url }));
});
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  if (event.notification.data) event.waitUntil(clients.openWindow(event.notification.data));
});
"""
