// The pages of nectr as a person meets them, in a real Chromium: sign in on the dashboard, look at a delivery, then use
// the API from Swagger UI with a token. Nothing may be asked of any other host, and no page may complain.
//
//   node check.mjs CHROMIUM URL FOLDER       (of a demo; pictures of the pages go into FOLDER)

import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const [program, url, folder] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: program,
  args: [
    ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // Whatever a page would ask of another machine fails here, and loudly.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
  ],
});

/** A page that keeps what went wrong on it and whom it asked; `expected` complaints are left out. */
async function open(context, expected = []) {
  const page = await context.newPage();
  const complaints = [];
  const asked = new Set();
  const note = (text) => expected.some((known) => text.includes(known)) || complaints.push(text);
  page.on("console", (said) => ["error", "warning"].includes(said.type()) && note(`${said.text()} ${said.location().url}`));
  page.on("pageerror", (error) => note(String(error)));
  page.on("requestfailed", (request) => note(`${request.url()} ${request.failure()?.errorText}`));
  page.on("request", (request) => request.url().startsWith("data:") || asked.add(new URL(request.url()).origin));
  return { page, complaints, asked };
}

async function dashboard(context) {
  // Asking who is signed in is how the page learns that nobody is; Chromium writes every 401 down.
  const { page, complaints, asked } = await open(context, [`${url}/auth/me`]);
  await page.goto(`${url}/dashboard`);
  await page.getByRole("link", { name: "Sign in with GitHub" }).click();
  await page.getByText("octavia").first().waitFor();
  await page.locator("#repos li", { hasText: "acme/shop" }).first().waitFor();
  await page.locator("#reviews li", { hasText: "Take card payments" }).first().waitFor();
  await page.getByRole("button", { name: /^Details of/ }).first().click();
  await page.locator("#detail[open]").waitFor();
  await page.screenshot({ path: `${folder}/dashboard.png` });
  assert.deepEqual(complaints, [], "the dashboard complains");
  // Signing in leads over GitHub's page, which here is another port of this machine.
  for (const origin of asked) assert.match(origin, /^http:\/\/(localhost|127\.0\.0\.1):\d+$/);
  const answer = await context.request.post(`${url}/auth/token`, { headers: { Origin: url } });
  assert.equal(answer.status(), 200);
  return (await answer.json()).access_token;
}

async function swagger(context, token) {
  const { page, complaints, asked } = await open(context);
  await page.goto(`${url}/docs`);
  await page.locator(".btn.authorize").click();
  const bearer = page.locator(".auth-container", { hasText: "bearer" }).first();
  await bearer.locator("input").fill(token);
  await bearer.getByRole("button", { name: "Apply credentials" }).or(bearer.locator("button.authorize")).first().click();
  await page.locator(".btn-done").first().click();

  for (const [operation, expected] of [["get_me", '"octavia"'], ["list_repositories", '"acme/shop"']]) {
    const block = page.locator(`.opblock[id$="-${operation}"]`);
    await block.locator(".opblock-summary-control").click();
    await block.locator(".try-out__btn").click();
    await block.locator(".execute").click();
    const live = block.locator(".live-responses-table");
    await live.locator(".response-col_status", { hasText: /^200/ }).waitFor();
    await live.locator(".response-col_description", { hasText: expected }).waitFor();
  }
  await page.screenshot({ path: `${folder}/docs.png` });
  assert.deepEqual(complaints, [], "Swagger UI complains");
  assert.deepEqual([...asked], [url], "Swagger UI asks somebody else");
}

try {
  const token = await dashboard(await browser.newContext());
  // Without the cookie: the token alone must do.
  await swagger(await browser.newContext(), token);
  console.log(`ok   Chromium ${browser.version()}: signed in on the dashboard, used the API from Swagger UI`);
} finally {
  await browser.close();
}
