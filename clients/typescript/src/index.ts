/** Client of a Patron server's API: what may be sent again is, and every refusal is an exception. */

import createClient, { type Client } from "openapi-fetch";

import { IDEMPOTENT } from "./document.js";
import type { components, paths } from "./schema.js";

export type { components, paths };
export type Patron = Client<paths>;
export { InvalidWebhook, verifyWebhook, type WebhookEvent } from "./webhooks.js";

const BUSY = new Set([429, 502, 503, 504]);
const LONGEST_PAUSE_MS = 30_000;

/** The server refused: what was wrong, where, and what to do. */
export class Refusal extends Error {
  readonly error: string;
  readonly what: string;
  readonly where: string;
  readonly todo: string;

  constructor(readonly status: number, problem: Partial<components["schemas"]["Refusal"]> & { detail?: string }) {
    const what = problem.what || problem.detail || `HTTP ${status}`;
    super([`${status}:`, problem.where && `${problem.where}:`, what, problem.todo].filter(Boolean).join(" "));
    this.name = "Refusal";
    this.error = problem.error ?? "";
    this.what = what;
    this.where = problem.where ?? "";
    this.todo = problem.todo ?? "";
  }
}

export interface Options {
  baseUrl: string;
  key: string;
  /** How often a request that may be sent again is; 3 unless said otherwise. */
  retries?: number;
  timeoutMs?: number;
}

/** A client whose methods are typed by the paths of the API; they throw Refusal. */
export function connect({ baseUrl, key, retries = 3, timeoutMs = 30_000 }: Options): Patron {
  return createClient<paths>({
    baseUrl: baseUrl.replace(/\/+$/, ""),
    headers: { Authorization: `Bearer ${key}` },
    fetch: (request) => send(request, retries, timeoutMs),
  });
}

/** Every page of a list: `for await (const page of pages((cursor) => patron.GET(...)))`. */
export async function* pages<Page extends { next_cursor?: string | null }>(
  read: (cursor: string) => Promise<{ data?: Page }>,
): AsyncGenerator<Page> {
  let cursor: string | null | undefined = "";
  while (cursor != null) {
    const { data } = await read(cursor);
    if (!data) return;
    yield data;
    cursor = data.next_cursor;
  }
}

async function send(request: Request, retries: number, timeoutMs: number): Promise<Response> {
  const attempts = mayRepeat(request) ? retries : 0;
  for (let attempt = 0; ; attempt++) {
    let response: Response | undefined;
    try {
      response = await fetch(request.clone(), { signal: AbortSignal.timeout(timeoutMs) });
    } catch (error) {
      if (attempt === attempts) throw error;
    }
    if (response?.ok) return response;
    if (response && (!BUSY.has(response.status) || attempt === attempts)) {
      throw new Refusal(response.status, await response.json().catch(() => ({})));
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs(attempt, response)));
  }
}

/** Whether a request can be sent again without doing something twice; it gets its idempotency key here. */
function mayRepeat(request: Request): boolean {
  if (["GET", "HEAD", "OPTIONS"].includes(request.method)) return true;
  const path = new URL(request.url).pathname;
  if (IDEMPOTENT.some(([method, pattern]) => method === request.method && new RegExp(`^${pattern}$`).test(path))) {
    if (!request.headers.has("Idempotency-Key")) request.headers.set("Idempotency-Key", crypto.randomUUID());
    return true;
  }
  return path.startsWith("/v1/"); // messages with a messageId are stored once
}

function pauseMs(attempt: number, response?: Response): number {
  const after = Number(response?.headers.get("Retry-After") ?? NaN) * 1000;
  const usual = 250 * 2 ** attempt * (0.5 + Math.random());
  return Math.min(Number.isFinite(after) ? after : usual, LONGEST_PAUSE_MS);
}
