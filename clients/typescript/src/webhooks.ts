/** Webhooks that Patron sent, verified as Standard Webhooks says. */

const TOLERANCE_SECONDS = 300;

/** The request was not sent by Patron with this secret, or not lately. */
export class InvalidWebhook extends Error {}

export interface WebhookEvent {
  type: string;
  timestamp: string;
  data: Record<string, unknown>;
}

/** The event of a request. `body` is as it arrived, unparsed; names of headers are in small letters. Throws InvalidWebhook. */
export async function verifyWebhook(
  secret: string,
  headers: Record<string, string | string[] | undefined>,
  body: string,
  now: number = Date.now() / 1000,
): Promise<WebhookEvent> {
  const text = (name: string) => String(headers[name] ?? "");
  const timestamp = text("webhook-timestamp");
  if (!/^\d{1,12}$/.test(timestamp) || Math.abs(now - Number(timestamp)) > TOLERANCE_SECONDS) {
    throw new InvalidWebhook("the time is missing, or too far from ours");
  }
  const encoder = new TextEncoder();
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", bytes(secret.replace(/^whsec_/, "")), algorithm, false, ["verify"]);
  const content = encoder.encode(`${text("webhook-id")}.${timestamp}.${body}`);
  for (const one of text("webhook-signature").split(" ")) {
    if (one.startsWith("v1,") && (await crypto.subtle.verify("HMAC", key, bytes(one.slice(3)), content))) {
      return JSON.parse(body) as WebhookEvent;
    }
  }
  throw new InvalidWebhook("no signature is right");
}

function bytes(base64: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));
  } catch {
    return new Uint8Array(0);
  }
}
