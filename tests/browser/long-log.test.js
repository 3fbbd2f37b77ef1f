/** A long log stays fast: its end is followed, and the rest is loaded on request. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { eventually } from "./support/eventually.js";
import { stage } from "./support/stage.js";

const LINES = 100_000;
/** Number of entries that the page loads with one request. */
const PAGE = 5_000;
/** Number of lines of a log that is higher than a browser can scroll. */
const HIGHEST = 1_700_000;
/** Pixels. */
const LINE_HEIGHT = 20;
/** Maximum number of elements in the pane: the visible ones, and a few beyond. */
const MAX_ELEMENTS = 600;
/** The longest wait for the whole of a long log, from a debug build on a busy machine. */
const LOADED_MS = 60_000;
/** A frame that takes this long makes the page seem to hang, in milliseconds. */
const LONG_FRAME_MS = 200;
/** How many of a hundred frames may be long: a busy machine delays one now and then, a slow page one per batch. */
const LONG_FRAMES_PERCENT = 5;

/** @param {import("./support/server.js").Server} server */
async function prepare({ api }) {
  const pipeline = await api.createPipeline({ name: "long", script: "--" });
  const long = await api.launchOn("writer", pipeline.id);
  await api.log(
    long.id,
    Array.from({ length: LINES }, (_, line) => `line ${line + 1} of \u001b[32mmany\u001b[0m`),
  );
  return { pipeline, long };
}

const on = stage(prepare);

test("a log of 100,000 lines is followed, with few elements and at a steady pace", async (t) => {
  const { page } = await on.open();
  await page.goto(`/jobs/${on.sample.long.id}`);
  const pane = page.getByRole("region", { name: "Log lines" });
  await pane.getByText(`line ${LINES} of many`).waitFor({ timeout: LOADED_MS });
  assert.ok(await page.getByLabel("Follow").isChecked());

  const frames = page.evaluate(measureFrames, 3_000);
  for (let batch = 1; batch <= 20; batch += 1) {
    await on.api.log(
      on.sample.long.id,
      Array.from({ length: 100 }, (_, line) => `batch ${batch} line ${line + 1}`),
    );
  }
  await pane.getByText("batch 20 line 100", { exact: true }).waitFor();
  const following = await frames;
  const scrolling = await page.evaluate(scrollThrough);
  const elements = await pane.locator("*").count();
  for (const [what, times] of Object.entries({ following, scrolling })) {
    t.diagnostic(`${what}: ${times.length} frames, longest ${Math.max(...times)} ms; ${elements} elements`);
    const long = times.filter((time) => time >= LONG_FRAME_MS);
    assert.ok(long.length * 100 <= times.length * LONG_FRAMES_PERCENT, `${what}: frames of ${long} ms`);
  }
  assert.ok(elements <= MAX_ELEMENTS, `${elements} elements`);
  await page.context().close();
});

test("going up stops following, and going to the end begins it again", async () => {
  const { page } = await on.open();
  await page.goto(`/jobs/${on.sample.long.id}`);
  const pane = page.getByRole("region", { name: "Log lines" });
  await pane.getByText("batch 20 line 100", { exact: true }).waitFor({ timeout: LOADED_MS });
  await pane.evaluate((element) => (element.scrollTop = 0));
  await pane.getByText(`line ${LINES + 2_000 - PAGE + 1} of many`, { exact: true }).waitFor();
  await eventually(async () => !(await page.getByLabel("Follow").isChecked()));
  await page.getByLabel("Follow").check();
  await pane.getByText("batch 20 line 100", { exact: true }).waitFor();
  await page.context().close();
});

test("a long log opens at its end, and what was before is loaded when it is asked for", async () => {
  const { page } = await on.open();
  await page.goto(`/jobs/${on.sample.long.id}`);
  const pane = page.getByRole("region", { name: "Log lines" });
  await pane.getByText("batch 20 line 100", { exact: true }).waitFor({ timeout: LOADED_MS });
  await pane.evaluate((element) => (element.scrollTop = 0));
  const first = LINES + 2_000 - PAGE + 1;
  await pane.getByText(`line ${first} of many`, { exact: true }).waitFor();
  const earlier = page.getByRole("button", { name: "Load earlier" });
  await page.route("**/logs?after=*", (route) => route.abort(), { times: 1 });
  await earlier.click();
  const notice = page.getByText("Earlier entries cannot be loaded");
  await notice.waitFor();
  await earlier.dblclick();
  await notice.waitFor({ state: "detached" });
  await page.getByText(`from entry ${(first - PAGE).toLocaleString("en-US")} on`).waitFor();
  const height = await page.locator(".log-lines").evaluate((element) => element.clientHeight);
  assert.equal(height, (2 * PAGE + 1) * LINE_HEIGHT, "its lines and the title of the attempt");
  // The visible lines stay where they were, and the earlier ones are above them.
  await pane.getByText(`line ${first} of many`, { exact: true }).waitFor();
  await pane.getByText(`line ${first - 1} of many`, { exact: true }).waitFor();
  await page.getByLabel("Search the log").fill(`line ${first - PAGE} of`);
  await page.getByText("1 of 1", { exact: true }).waitFor();
  await page.context().close();
});

test("an address names a line amid a long log, and shows it", async () => {
  const { page } = await on.open();
  await page.goto(`/jobs/${on.sample.long.id}#L50000`);
  const pane = page.getByRole("region", { name: "Log lines" });
  await pane.getByText("line 50000 of many").waitFor({ timeout: LOADED_MS });
  assert.match((await page.locator("#L50000").getAttribute("class")) ?? "", /is-marked/);
  await page.context().close();
});

test("the last line of a log is reached that is higher than a browser can scroll", async () => {
  const { page } = await on.open();
  const job = await on.api.launchOn("chatty", on.sample.pipeline.id);
  await on.api.log(job.id, [`${"\n".repeat(HIGHEST)}the very last`]);
  await page.goto(`/jobs/${job.id}`);
  const last = page.getByText("the very last", { exact: true });
  await last.waitFor({ timeout: LOADED_MS });
  await page.locator(".log-view").evaluate((element) => (element.scrollTop = element.scrollHeight / 2));
  await last.waitFor({ state: "detached" });
  await page.locator(".log-view").press("End");
  await last.waitFor();
  await page.context().close();
});

test("the whole log can be downloaded", async () => {
  const { page } = await on.open();
  await page.goto(`/jobs/${on.sample.long.id}`);
  const download = page.waitForEvent("download", { timeout: LOADED_MS });
  await page.getByRole("button", { name: "Download" }).click();
  const text = await readFile(await (await download).path(), "utf8");
  const lines = text.trimEnd().split("\n");
  assert.equal(lines.length, LINES + 2_000);
  assert.match(lines[0] ?? "", /Info +line 1 of/);
  await page.context().close();
});

/** The durations of the frames in this time. Runs in the page. @param {number} forMs */
function measureFrames(forMs) {
  return new Promise((/** @type {(times: number[]) => void} */ measured) => {
    const begin = performance.now();
    /** @type {number[]} */
    const times = [];
    let last = begin;
    requestAnimationFrame(function frame(now) {
      times.push(Math.round(now - last));
      last = now;
      if (now - begin < forMs) requestAnimationFrame(frame);
      else measured(times);
    });
  });
}

/** Scrolls through the whole log in 120 steps, one per frame. Runs in the page. */
function scrollThrough() {
  return new Promise((/** @type {(times: number[]) => void} */ measured) => {
    const pane = /** @type {HTMLElement} */ (document.querySelector(".log-view"));
    /** @type {number[]} */
    const times = [];
    let last = performance.now();
    requestAnimationFrame(function frame(now) {
      times.push(Math.round(now - last));
      last = now;
      pane.scrollTop = (pane.scrollHeight * times.length) / 120;
      if (times.length < 120) requestAnimationFrame(frame);
      else measured(times);
    });
  });
}
