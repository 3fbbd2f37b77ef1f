/** The feed of events: it shows old events, continues after a failure, and knows every type. */

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";

import { pretendHidden } from "./support/browser.js";
import { eventually } from "./support/eventually.js";
import { stage } from "./support/stage.js";

const GOLDEN = resolve(import.meta.dirname, "../../events/golden");
/** Number of events on one page. */
const PAGE = 100;
/** More events than one window holds. */
const JOBS = 250;

/** @param {import("./support/server.js").Server} server */
async function prepare({ api }) {
  const pipeline = await api.createPipeline({ name: "first of all", script: "--" });
  const jobs = [];
  for (let job = 0; job < JOBS; job += 1) jobs.push(await api.launch(pipeline.id));
  return { pipeline, first: jobs[0] };
}

const on = stage(prepare);

test("what passes a filter is found however far back it is", async () => {
  const { page } = await on.open();
  await page.goto("/events?type=pipeline.created");
  await page.getByText("Pipeline first of all created").waitFor();
  await page.getByText("Looking further back…").waitFor({ state: "detached" });
  assert.equal(await page.getByRole("link", { name: "Older events" }).count(), 0);
  await on.api.createPipeline({ name: "and another", script: "--" });
  await page.getByText("Pipeline and another created").waitFor();
  await page.goto(`/events?stream_type=job&stream_id=${on.sample.first.id}`);
  await page.getByText("Launched with priority").waitFor();
  await page.context().close();
});

test("what passes a filter is found after a position, also where one request does not look that far", async () => {
  const { page } = await on.open();
  await page.route("**/api/events?*after=0&*", (route) => route.fulfill({ json: { events: [], next: 1, head: JOBS } }));
  await page.goto("/events?type=job.launched&after=0");
  await page.getByText("Launched with priority").first().waitFor();
  await page.context().close();
});

test("an event says what it is about, and leads there", async () => {
  const { page } = await on.open();
  await on.api.send("POST", "/api/runners/register", { runner_id: "a/b", capabilities: [] });
  const { pipeline, first } = on.sample;
  for (const [query, name, path] of [
    [`stream_type=job&stream_id=${first.id}`, `…${first.id.slice(-8)}`, `/jobs/${first.id}`],
    ["type=pipeline.created", "first of all", `/pipelines/${pipeline.id}`],
    ["type=runner.registered", "a/b", "/jobs?runner_id=a%2Fb"],
  ]) {
    await page.goto(`/events?${query}`);
    await page.getByRole("listitem").getByRole("link", { name }).first().click();
    await page.waitForURL(`**${path}`);
  }
  await page.context().close();
});

test("older events follow page by page to the first one, each of them once", async () => {
  const { page } = await on.open();
  await page.goto("/events?type=job.launched");
  /** @type {number[]} */
  const seen = [];
  const older = page.getByRole("link", { name: "Older events" });
  const positions = page.locator(".event-position");
  for (let left = JOBS; left > 0; left -= PAGE) {
    await eventually(async () => (await positions.count()) === Math.min(left, PAGE) && !seen.includes(await newest(positions)));
    seen.push(...(await positions.allTextContents()).map(Number));
    // By the keyboard: the page may still scroll to its top, and a pointer would miss the link.
    if (left > PAGE) await older.press("Enter");
  }
  await page.getByText("Looking further back…").waitFor({ state: "detached" });
  assert.equal(await older.count(), 0);
  assert.equal(new Set(seen).size, JOBS);
  assert.deepEqual(
    seen,
    seen.toSorted((a, b) => b - a),
  );
  await page.context().close();
});

test("a feed whose first load failed is as live as any other, and one that is refused is not asked for again", async () => {
  const { page } = await on.open();
  let refusals = 1;
  await page.route("**/api/events?stream_type=*", (route) =>
    refusals-- > 0 ? route.fulfill({ status: 503, json: { detail: "too much to do", code: "overloaded" } }) : route.continue(),
  );
  await page.goto("/events?stream_type=pipeline");
  await page.getByText("The feed cannot be shown").waitFor();
  await page.getByText("Pipeline first of all created").waitFor();
  await on.api.createPipeline({ name: "after the failure", script: "--" });
  await page.getByText("Pipeline after the failure created").waitFor();
  let asked = 0;
  page.on("request", (request) => (asked += request.url().includes("/api/events?after=") ? 1 : 0));
  await page.clock.install();
  await page.goto("/events?after=abc");
  await page.getByText("The feed cannot be shown").waitFor();
  await page.clock.runFor(60_000);
  await eventually(() => asked === 1);
  await page.context().close();
});

test("a feed that is paused stays as it is while its tab is left, and goes on where the feed is then", async () => {
  const { page } = await on.open();
  await page.goto("/events?stream_type=pipeline");
  await page.getByText("Pipeline first of all created").waitFor();
  await page.getByRole("button", { name: "Pause" }).click();
  await pretendHidden(page, true);
  await on.api.createPipeline({ name: "while away", script: "--" });
  await pretendHidden(page, false);
  await page.getByText("1 more have come meanwhile.").waitFor();
  assert.equal(await page.getByText("while away").count(), 0);
  await page.getByRole("button", { name: "Show them" }).click();
  await page.getByText("Pipeline while away created").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Events");
  await page.context().close();
});

test("the filter has every type of event that there is", async () => {
  const { page } = await on.open();
  await page.goto("/events");
  await page.getByText("Pipeline first of all created").or(page.getByText("Launched with")).first().waitFor();
  const types = await page.getByLabel("Type").locator("option:not([value=''])").allInnerTexts();
  const golden = readdirSync(GOLDEN, { recursive: true }).flatMap((file) => /([^/]+)\.v1\.json$/.exec(String(file))?.[1] ?? []);
  assert.deepEqual(types.toSorted(), golden.toSorted());
  const streams = await page.getByLabel("About").locator("option:not([value=''])").evaluateAll(valuesOf);
  assert.deepEqual(streams.toSorted(), [...new Set(golden.map((type) => type.split(".")[0]))].toSorted());
  await page.context().close();
});

/** @param {import("playwright-core").Locator} positions */
async function newest(positions) {
  return Number(await positions.first().innerText());
}

/** Runs in the page. @param {Element[]} options */
function valuesOf(options) {
  return options.map((option) => /** @type {HTMLOptionElement} */ (option).value);
}
