/** Unusually large or odd data: every page stays as wide as its window, and shows the data correctly. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { stage } from "./support/stage.js";

const LONG = "x".repeat(10_000);
/** Name of a runner. */
const HOST = `host-${"7".repeat(200)}`;
const CAPABILITIES = 300;
/** Number of capabilities of a runner that are shown without expanding the list. */
const SHOWN = 20;
/** How far the clock of the browser is wrong. */
const SKEW_MS = 600_000;

/** @param {import("./support/server.js").Server} server */
async function prepare({ api }) {
  const pipeline = await api.createPipeline({
    name: "n".repeat(255),
    description: LONG,
    script: `-- ${LONG}`,
    required_modules: ["hand"],
    config: { timeout_seconds: 5_400 },
  });
  const capabilities = ["hand", ...Array.from({ length: CAPABILITIES - 1 }, (_, number) => `capability/${number}`)];
  await api.send("POST", "/api/runners/register", { runner_id: HOST, capabilities });
  await api.send("POST", "/api/runners/register", { runner_id: "hand", capabilities: ["hand"] });
  const failed = await api.launchOn("hand", pipeline.id);
  await api.complete(failed.id, { success: false, exit_code: 3, error_message: LONG });
  const silent = await api.launchOn("hand", pipeline.id);
  await api.complete(silent.id, { success: false, exit_code: 4 });
  const running = await api.launchOn("hand", pipeline.id);
  const elsewhere = await api.launchOn(HOST, pipeline.id);
  const inputs = `inputs = { text = { type = "string", default = "two\\nlines" }, minus = { type = "number", default = -1.5 } }`;
  const script = `return { name = "odd inputs", ${inputs}, stages = { { name = "one", script = function() end } } }`;
  return { pipeline, failed, running, elsewhere, odd: await api.createPipeline({ script }) };
}

const on = stage(prepare);

test("a page is as wide as its window, however long a text of somebody is", async () => {
  const { pipeline, failed, elsewhere } = on.sample;
  const jobs = ["/jobs", `/jobs/${failed.id}`, `/jobs/${elsewhere.id}`];
  for (const path of ["/", ...jobs, "/pipelines", `/pipelines/${pipeline.id}`, "/runners"]) {
    for (const width of [1_280, 375]) {
      const { page } = await on.open({ viewport: { width, height: 800 } });
      await page.goto(path);
      await page.getByText("Live", { exact: true }).waitFor();
      await page.locator(".loading").first().waitFor({ state: "detached" });
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(overflow <= 0, `${path} at ${width} px is ${overflow} px too wide`);
      await page.context().close();
    }
  }
});

test("a list of jobs tells why one failed, in as little room as the others take", async () => {
  const { page } = await on.open();
  await page.goto("/jobs?status=Failed");
  await page.getByText("exit code 4").waitFor();
  const row = await page
    .getByRole("row")
    .filter({ has: page.getByTitle(LONG) })
    .boundingBox();
  assert.ok(row && row.height < 120, `${row?.height} px`);
  await page.context().close();
});

test("of very many capabilities some are shown, and the others on demand", async () => {
  const { page } = await on.open();
  await page.goto("/runners");
  const row = page.getByRole("row").filter({ hasText: "host-7" });
  await row.getByText(`${CAPABILITIES - SHOWN} more`).click();
  await row.getByText(`capability/${CAPABILITIES - 2}`, { exact: true }).waitFor();
  await page.context().close();
});

test("a default of many lines is launched as it is", async () => {
  const { page } = await on.open();
  await page.goto(`/pipelines/${on.sample.odd.id}`);
  await page.getByRole("button", { name: "Launch" }).click();
  await page.waitForURL(/\/jobs\/[\da-f-]{36}$/);
  const job = await on.api.get(`/api/jobs/${page.url().split("/").pop()}`);
  assert.deepEqual(job.parameters, { text: "two\nlines", minus: -1.5 });
  await page.context().close();
});

test("a time is told by the clock of the server, whatever the one of the browser says", async () => {
  for (const skew of [SKEW_MS, -SKEW_MS]) {
    const { page } = await on.open();
    await page.addInitScript((skewMs) => {
      const now = Date.now.bind(Date);
      Date.now = () => now() + skewMs;
    }, skew);
    await page.goto(`/jobs/${on.sample.running.id}`);
    await page.getByText(/^Claimed .+ so far on hand/).waitFor();
    // It is less than a minute, but time passes.
    const phase = page.getByText(/^Claimed (\d+|\d\.\d) s so far/);
    const seen = await phase.innerText();
    await page.getByText(seen).waitFor({ state: "detached" });
    await phase.waitFor();
    await page.context().close();
  }
});

test("a runner is removed by its name alone, also where that looks like a path to something else", async () => {
  const { pipeline } = on.sample;
  const removable = `../pipeline/${pipeline.id}`;
  for (const name of [removable, ".."]) await on.api.send("POST", "/api/runners/register", { runner_id: name, capabilities: [] });
  const { page } = await on.open();
  await page.route("**/api/runners?*", async (route) => {
    const response = await route.fetch();
    const runners = await response.json();
    await route.fulfill({ response, json: runners.map((/** @type {object} */ runner) => ({ ...runner, status: "Offline" })) });
  });
  await page.goto("/runners");
  const remove = (/** @type {string} */ name) => page.getByRole("button", { name: `Remove ${name}…`, exact: true });
  await remove(removable).click();
  await page.getByRole("button", { name: "Remove the runner" }).click();
  await remove(removable).waitFor({ state: "detached" });
  // An address cannot contain this name: what is asked for then is nothing at all.
  await remove("..").click();
  await page.getByRole("button", { name: "Remove the runner" }).click();
  await page.getByRole("alert").getByText("There is nothing at /api/").waitFor();
  await on.api.get(`/api/pipeline/${pipeline.id}`);
  await page.context().close();
});
