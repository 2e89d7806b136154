// The story of ../run, told with openapi-fetch over the types that openapi-typescript makes.

import assert from "node:assert/strict";
import { createHmac, randomUUID } from "node:crypto";
import createClient from "openapi-fetch";
import type { components, paths } from "./generated/nectr.js";

type Delivery = components["schemas"]["Delivery"];
type Payload = components["schemas"]["WebhookPayload"];

const url = process.argv[2];
assert(url, "usage: story URL");
const shop = { owner: "acme", repo: "shop" };

/** What every answer is: data, or one sentence that says what to do. */
interface Answer<T> {
  data?: T;
  error?: { detail: string } | undefined;
  response: Response;
}

function ok<T>(answer: Answer<T>, status = 200): T {
  assert.equal(answer.response.status, status, answer.error?.detail);
  assert(answer.data !== undefined);
  return answer.data;
}

function refused(answer: Answer<unknown>, status: number, detail: string): void {
  assert.equal(answer.response.status, status);
  assert.equal(answer.error?.detail, detail);
}

// A browser's way: nectr, GitHub's authorize page, and back with a cookie.
const cookies = (response: Response) => response.headers.getSetCookie().map((cookie) => cookie.split(";")[0]).join("; ");
const follow = async (to: string, cookie = "") => fetch(to, { headers: { cookie }, redirect: "manual" });
const location = (response: Response) => {
  const to = response.headers.get("location");
  assert(to, `${response.url} answered ${response.status}`);
  return to;
};
const begun = await follow(`${url}/auth/github`);
const authorized = await follow(location(begun));
const back = await follow(location(authorized), cookies(begun));
assert.equal(location(back), `${url}/dashboard`);

const browser = createClient<paths>({ baseUrl: url, headers: { cookie: cookies(back), origin: url } });
const token = ok(await browser.POST("/auth/token"));
assert.equal(token.token_type, "bearer");
const client = createClient<paths>({ baseUrl: url, headers: { authorization: `Bearer ${token.access_token}` } });
const me = ok(await client.GET("/auth/me"));
assert.equal(me.github_username, "octavia");
refused(await createClient<paths>({ baseUrl: url }).GET("/auth/me"), 401, "Unauthorized");

// What there is to see.
const found = ok(await client.GET("/api/v1/repos")).find((repo) => repo.full_name === "acme/shop");
assert(found?.is_connected);
const deliveries: Delivery[] = [];
for (let cursor: string | null | undefined; cursor !== null; ) {
  const query = { limit: 1, ...(cursor === undefined ? {} : { cursor }) };
  const page = ok(await client.GET("/api/v1/deliveries", { params: { query } }));
  deliveries.push(...page.items);
  cursor = page.next_cursor ?? null;
}
assert.equal(new Set(deliveries.map(({ guid }) => guid)).size, 3);
const query = { verdict: "REQUEST_CHANGES" } as const;
const [review] = ok(await client.GET("/api/v1/reviews", { params: { query } })).items;
assert(review);
const whole = ok(await client.GET("/api/v1/reviews/{id}", { params: { path: { id: review.id } } }));
assert.equal(whole.findings.length, whole.findings_count);
assert(whole.findings.some(({ severity }) => severity === "block"));
const files = ok(await client.GET("/api/v1/repos/{owner}/{repo}/files", { params: { path: shop } }));
assert.equal(files.files.length, files.count);
const profile = ok(await client.GET("/api/v1/repos/{owner}/{repo}/profile", { params: { path: shop } }));
assert.deepEqual(profile.languages.map(({ language }) => language), ["Rust", "TypeScript"]);

// A delivery is done again.
const [last] = deliveries;
assert(last);
const path = { id: last.id };
const requeued = ok(await client.POST("/api/v1/deliveries/{id}/redeliver", { params: { path } }), 202);
assert.equal(requeued.delivery_id, last.id);
for (const patience = Date.now() + 30_000; ; await new Promise((wake) => setTimeout(wake, 50))) {
  const now = ok(await client.GET("/api/v1/deliveries/{id}", { params: { path } }));
  if (now.status === "completed") {
    assert(now.attempt_log.length >= 2 && now.headers["x-github-event"] === "pull_request");
    break;
  }
  assert(Date.now() < patience, `delivery ${now.id} is ${now.status}: ${now.last_error}`);
}

// The repository is disconnected, and connected again.
const install = "/api/v1/repos/{owner}/{repo}/install";
assert.equal(ok(await client.DELETE(install, { params: { path: shop } })).status, "disconnected");
refused(await client.GET("/api/v1/repos/{owner}/{repo}", { params: { path: shop } }), 404, "Repo not connected");
assert.equal(ok(await client.POST(install, { params: { path: shop } })).status, "connected");
refused(await client.POST(install, { params: { path: shop } }), 400, "Repo already connected");

// A delivery by a webhook made by hand: new, known, and not signed by whom it says.
const payload: Payload = {
  action: "opened",
  repository: { id: 1, full_name: "acme/elsewhere" },
  pull_request: {
    number: 1,
    state: "open",
    draft: false,
    merged: false,
    updated_at: "2026-01-01T12:00:00Z",
    head: { ref: "new", sha: "1".repeat(40) },
    base: { ref: "main", sha: "2".repeat(40) },
  },
};
const guid = randomUUID();
async function deliver(secret: string) {
  const text = JSON.stringify(payload);
  const header = {
    "X-GitHub-Event": "pull_request",
    "X-GitHub-Delivery": guid,
    "X-Hub-Signature-256": `sha256=${createHmac("sha256", secret).update(text).digest("hex")}`,
  };
  return client.POST("/api/v1/webhooks/github", { params: { header }, body: payload, bodySerializer: () => text });
}
refused(await deliver("guessed"), 401, "Invalid webhook signature");
const received = ok(await deliver("demo"), 202);
assert.equal(received.status, "received");
const again = ok(await deliver("demo"));
assert.deepEqual([again.status, again.delivery_id], ["duplicate", received.delivery_id]);

assert.equal(ok(await client.POST("/auth/logout")).message, "Logged out");
refused(await client.GET("/auth/me"), 401, "Unauthorized");
console.log(`ok   TypeScript: ${me.github_username}, ${deliveries.length} deliveries, ${whole.findings_count} findings`);
