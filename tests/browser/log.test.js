/** The log of a job: lines can be searched and linked, and are shown as in a terminal. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { eventually } from "./support/eventually.js";
import { stage } from "./support/stage.js";

/** @param {import("./support/server.js").Server} server */
async function prepare({ api }) {
  const pipeline = await api.createPipeline({ name: "short", script: "--" });
  const short = await api.launchOn("writer", pipeline.id);
  await api.log(short.id, ["one\ntwo\nthree", "\u001b[33mfour", "five needles", "six NEEDLES"]);
  return { pipeline, short };
}

const on = stage(prepare);

test("an address names a line, also one of many in an entry", async () => {
  const { page } = await on.open();
  await page.goto(`/jobs/${on.sample.short.id}`);
  await page.getByRole("link", { name: "Line 1.3" }).click();
  await page.waitForURL(/#L1\.3$/);
  await page.reload();
  await page.locator(".is-marked").getByText("three").waitFor();
  await page.context().close();
});

test("an address of a line that is not there shows the log, and says so", async () => {
  const { page } = await on.open();
  await page.goto(`/jobs/${on.sample.short.id}#L600`);
  await page.getByText("Line 600 is not among those that are here.").waitFor();
  await page.getByText("five needles").waitFor();
  await page.context().close();
});

test("a search finds lines whatever their case, and goes from one to the next", async () => {
  const { page } = await on.open();
  await page.goto(`/jobs/${on.sample.short.id}`);
  const field = page.getByLabel("Search the log");
  await field.fill("needles");
  await page.getByText("1 of 2", { exact: true }).waitFor();
  assert.deepEqual(await page.locator("mark").allInnerTexts(), ["needles", "NEEDLES"]);
  await field.press("Enter");
  await page.getByText("2 of 2", { exact: true }).waitFor();
  await on.api.log(on.sample.short.id, ["seven needles"]);
  await page.getByText("2 of 3", { exact: true }).waitFor();
  await page.context().close();
});

test("a long line is wrapped, and shown whole, or takes one row if that is wanted", async () => {
  const job = await on.api.launchOn("wide", on.sample.pipeline.id);
  const long = [
    "words of some length ".repeat(40),
    "a".repeat(1_001),
    "\ttabs".repeat(50),
    "界 🚀 ✓ ü └─".repeat(60),
    "\u001b[32mgreen ".repeat(90),
  ];
  await on.api.log(job.id, ["short", ...long, "the last"]);
  for (const width of [1_280, 375]) {
    const { page } = await on.open({ viewport: { width, height: 800 } });
    await page.goto(`/jobs/${job.id}`);
    await page.getByText("the last", { exact: true }).waitFor();
    await eventually(async () => (await page.locator(".log-view").evaluate(missing)) === 0);
    const heights = await page
      .locator(".log-line:has(.log-text)[id]")
      .evaluateAll((lines) => lines.map((line) => line.clientHeight));
    assert.ok(heights.every((height) => height % 20 === 0) && Math.max(...heights) > 20, `${heights}`);
    await page.getByLabel("Wrap").uncheck();
    await eventually(async () => (await page.locator(".log-view").evaluate(missing)) > 0);
    await page.context().close();
  }
});

test("the match that the search is at is told from the others, and seen however far right it is", async () => {
  const { page } = await on.open();
  const job = await on.api.launchOn("right", on.sample.pipeline.id);
  // A letter that becomes two in lower case must not shift the marked text.
  await on.api.log(job.id, ["İİ needle", `${"a".repeat(3_000)} needle`]);
  await page.goto(`/jobs/${job.id}`);
  await page.getByLabel("Wrap").uncheck();
  const field = page.getByLabel("Search the log");
  await field.fill("needle");
  await page.getByText("1 of 2", { exact: true }).waitFor();
  assert.deepEqual(await page.locator("mark").allInnerTexts(), ["needle", "needle"]);
  await page.locator("[id=L1].is-found").waitFor();
  await field.press("Enter");
  const match = page.locator("[id=L2].is-found mark");
  const [pane, place] = [await page.locator(".log-view").boundingBox(), await match.boundingBox()];
  assert.ok(pane && place && place.x >= pane.x && place.x + place.width <= pane.x + pane.width);
  await page.context().close();
});

test("what a terminal would not show is not shown, and a colour outlives what was overwritten", async () => {
  const { page } = await on.open();
  const job = await on.api.launchOn("terminal", on.sample.pipeline.id);
  await on.api.log(job.id, ["\u001b[32mprogress 1%\rprogress 100%", "\u001b]0;the title\u0007the text"]);
  await page.goto(`/jobs/${job.id}`);
  await page.locator(".ansi-green-fg").getByText("progress 100%", { exact: true }).waitFor();
  await page.locator(".log-text").getByText("the text", { exact: true }).waitFor();
  assert.equal(await page.getByText("the title").count(), 0);
  await page.context().close();
});

test("the keyboard goes past the lines of a log", async () => {
  const { page } = await on.open();
  await page.goto(`/jobs/${on.sample.short.id}`);
  await page.getByText("five needles").waitFor();
  await page.getByRole("region", { name: "Log lines" }).focus();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement?.closest(".log-pane") ?? null), null);
  await page.context().close();
});

test("what could not be read is said until it could, also of a log without a line", async () => {
  const { page } = await on.open();
  const job = await on.api.launchOn("silent", on.sample.pipeline.id);
  let refusals = 1;
  await page.route("**/logs?*", (route) =>
    refusals-- > 0 ? route.fulfill({ status: 503, json: { detail: "too much to do", code: "overloaded" } }) : route.continue(),
  );
  await page.goto(`/jobs/${job.id}`);
  const notice = page.getByText("The log cannot be read: Too much to do. It is tried again.");
  await notice.waitFor();
  await page.getByText("0 entries · live").waitFor();
  await notice.waitFor({ state: "detached" });
  // A screen reader reads out what changes there, and the number of entries changes all the time.
  await page.locator(".log-tools").getByRole("status").getByText("live", { exact: true }).waitFor();
  await page.context().close();
});

test("a log that is followed for very long goes on only when that is asked for", async () => {
  const { page } = await on.open();
  const entry = { index: 200_002, attempt: 1, level: "Info", timestamp: new Date().toISOString(), message: "as many as may be" };
  const frames = [entry, { ...entry, index: 200_003, message: "one more" }].map((one) => `data: ${JSON.stringify(one)}\n\n`);
  await page.route("**/logs/stream?*", (route) => route.fulfill({ contentType: "text/event-stream", body: frames.join("") }), {
    times: 1,
  });
  const job = await on.api.launchOn("endless", on.sample.pipeline.id);
  await on.api.log(job.id, ["the first"]);
  await page.goto(`/jobs/${job.id}`);
  await page.getByText("200,002 entries · not all loaded").waitFor();
  assert.equal(await page.getByText("one more").count(), 0);
  await page.getByRole("button", { name: "Load more" }).click();
  await page.getByText("200,002 entries · live").waitFor();
  await page.context().close();
});

test("the end of the job ends the log, which is then not followed any more, and what its runner still sends is shown", async () => {
  const { page } = await on.open();
  await page.goto(`/jobs/${on.sample.short.id}`);
  await page.getByText(/entries · live/).waitFor();
  await page.getByLabel("Follow").waitFor();
  await on.api.complete(on.sample.short.id);
  await page.getByText(/entries · ended/).waitFor();
  await page.getByLabel("Follow").waitFor({ state: "detached" });
  await on.api.log(on.sample.short.id, ["sent after the end"]);
  await page.getByText("sent after the end").waitFor();
  await page.context().close();
});

/** How many pixels of the texts are beyond the edges of their lines, or of the pane. Runs in the page. @param {Element} pane */
function missing(pane) {
  const below = [...pane.querySelectorAll("[id] > .log-text")].map((text) => {
    const range = document.createRange();
    range.selectNodeContents(text);
    const line = /** @type {Element} */ (text.parentElement).getBoundingClientRect();
    return Math.max(0, range.getBoundingClientRect().bottom - line.bottom - 1);
  });
  return Math.max(pane.scrollWidth - pane.clientWidth, ...below);
}
