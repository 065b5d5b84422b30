"""The clients that `make clients` builds, as a shop's programs use them: against a real server."""

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from patron.answers.data.run_history import run_history
from patron.commands.access.manage_keys import create_key
from patron.engage.providers.standard_webhooks import keys_of, new_secret, signature_headers
from patron.govern.access.request_context import RequestContext
from patron.interfaces.console.screenshots import served
from patron.schema.access.access_rights import VISITOR

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TOOLS, MODULES = HERE / ".venv" / "bin", HERE / "node_modules"
BODY = b'{"type":"run.finished","timestamp":"2026-03-01T12:00:00+00:00","data":{"run_id":"2026-03-01"}}'
PYTHON = """
import asyncio, json, sys
from pathlib import Path
from patron_client import InvalidWebhook, Refusal, async_pages, connect, pages, verify_webhook
from patron_client.rest.api.customers import get_customer, list_customers
from patron_client.rest.api.runs import list_runs
from patron_client.rest.api.segments import save_segment
from patron_client.rest.models import SaveSegmentRuleBody

patron = connect(*sys.argv[1:3])
webhook = json.loads(sys.argv[3])
ids = [row.customer_id for page in pages(list_customers, patron, limit=50) for row in page.rows]
runs = [row.run_id for page in pages(list_runs, patron, limit=1) for row in page.history.rows]
async def others():
    return [row.customer_id async for page in async_pages(list_customers, patron, limit=70) for row in page.rows]
try:
    get_customer.sync("nobody", client=patron)
    status = "none"
except Refusal as refusal:
    status = [refusal.status, refusal.error]
body = SaveSegmentRuleBody.from_dict({"rule": {"field": "value_decile", "op": ">=", "value": 8}})
version = save_segment.sync("made by the python client", client=patron, body=body).version
event = verify_webhook(webhook["secret"], webhook["headers"], webhook["body"].encode())
try:
    verify_webhook(webhook["secret"], webhook["headers"], b"{}")
except InvalidWebhook:
    event["forged"] = "refused"
print(json.dumps([ids, runs, asyncio.run(others()) == ids, status, version, event]))
"""
NODE = """
import { InvalidWebhook, Refusal, connect, pages, verifyWebhook } from "patron-client";

const [baseUrl, key, text] = process.argv.slice(2);
const patron = connect({ baseUrl, key }), webhook = JSON.parse(text);
const read = (cursor) => patron.GET("/api/customers", { params: { query: { limit: 50, cursor } } });
const ids = [];
for await (const page of pages(read)) ids.push(...page.rows.map((row) => row.customer_id));
const runs = [], more = (cursor) => patron.GET("/api/runs", { params: { query: { limit: 1, cursor } } });
for await (const page of pages(more)) runs.push(...page.history.rows.map((row) => row.run_id));
let status = "none";
try {
  await patron.GET("/api/customers/{customer_id}", { params: { path: { customer_id: "nobody" } } });
} catch (error) {
  if (error instanceof Refusal) status = [error.status, error.error];
}
const rule = { field: "value_decile", op: ">=", value: 8 };
const { data } = await patron.PUT("/api/segments/{name}", {
  params: { path: { name: "made by the node client" } }, body: { rule },
});
const event = await verifyWebhook(webhook.secret, webhook.headers, webhook.body);
await verifyWebhook(webhook.secret, webhook.headers, "{}").catch((error) => {
  if (error instanceof InvalidWebhook) event.forged = "refused";
});
console.log(JSON.stringify([ids, runs, true, status, data.version, event]));
"""


def require(is_there, todo):
    assert is_there or not os.environ.get("CI"), f"CI has what builds the clients: {todo}"
    if not is_there:
        pytest.skip(f"what builds the clients is not installed: {todo}")


@pytest.fixture(scope="module")
def document():
    code = "import json, build; print(json.dumps(build.document()))"
    written = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path(ROOT / "clients")}, capture_output=True,
        check=True,
    )  # fmt: skip
    return json.loads(written.stdout)


@pytest.fixture(scope="module")
def build():
    sys.path.insert(0, str(ROOT / "clients"))
    import build

    yield build
    sys.path.remove(str(ROOT / "clients"))


@pytest.fixture(scope="module")
def shop_address(made_shop):
    with served(made_shop, VISITOR) as address:
        yield address


def path(first):
    return os.pathsep.join([str(first), os.environ.get("PYTHONPATH", str(ROOT / "src"))])


def use(made_shop, address, command, **options):
    """What a program prints that uses a client with a key of its own."""
    now = datetime.now(UTC)
    key = create_key(RequestContext.from_name(made_shop, now=now), "client", "secret").key
    secret = new_secret()
    webhook = {
        "secret": secret,
        "body": BODY.decode(),
        "headers": signature_headers(keys_of(secret), "msg_1", now, BODY),
    }
    done = subprocess.run(
        [*command, address, key, json.dumps(webhook)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_works(answer, made_shop):
    ids, runs, is_same, status, version, event = answer
    count = made_shop.snapshot().query(
        "select count(*) as n from segments s where run_id = (select max(run_id) from segments)"
    )
    assert (len(ids), len(set(ids)), is_same) == (count["n"][0].as_py(), len(ids), True), "every customer once"
    assert runs == [row.run_id for row in run_history(made_shop).rows], "every run once, the newest first"
    assert status == [404, "NotFound"]
    assert version == 1
    assert (event["type"], event["forged"]) == ("run.finished", "refused")


def test_the_python_client_lists_writes_refuses_and_verifies(build, document, made_shop, shop_address, tmp_path):
    generator = TOOLS / "openapi-python-client"
    require(generator.exists(), "install tests/clients/requirements.txt into tests/clients/.venv")
    build.build_python(document, tmp_path / "python", generator)
    command = [str(TOOLS / "python"), "-c", PYTHON]
    assert_works(use(made_shop, shop_address, command, env={"PYTHONPATH": str(tmp_path / "python")}), made_shop)


def test_the_typescript_client_lists_writes_refuses_and_verifies(build, document, made_shop, shop_address, tmp_path):
    require((MODULES / "openapi-typescript").is_dir() and shutil.which("node"), "npm install --prefix tests/clients")
    build.build_typescript(document, tmp_path / "node_modules" / "patron-client", MODULES)
    (tmp_path / "use.mjs").write_text(NODE, "utf-8")
    assert_works(use(made_shop, shop_address, ["node", str(tmp_path / "use.mjs")], cwd=tmp_path), made_shop)
