/** Going from page to page, and what then happens to the focus, to dialogs, and to incomplete answers. */

import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { test } from "node:test";

import { eventually } from "./support/eventually.js";
import { stage } from "./support/stage.js";

const JOBS = 70;

/** @param {import("./support/server.js").Server} server */
async function prepare({ api }) {
  const pipeline = await api.createPipeline({ name: "many", script: "-- one" });
  await api.send("PUT", `/api/pipeline/${pipeline.id}`, { name: "many", script: "-- two" });
  let last;
  for (let job = 0; job < JOBS; job += 1) last = await api.launch(pipeline.id);
  return { pipeline, last };
}

const on = stage(prepare);

test("another page of a list begins at its top, and the way back leads to where one was", async () => {
  const { page } = await on.open();
  await page.goto("/jobs");
  await page.getByTitle(on.sample.last.id).waitFor();
  const older = page.getByRole("link", { name: "Older jobs" });
  await older.scrollIntoViewIfNeeded();
  const left = await page.evaluate(() => window.scrollY);
  assert.ok(left > 0);
  await older.click();
  await page.getByText("This is the end").waitFor();
  assert.equal(await page.evaluate(() => window.scrollY), 0);
  assert.equal(await focused(page), "Jobs");
  await page.getByRole("link", { name: "Events" }).click();
  await page.getByRole("heading", { level: 1, name: "Events" }).waitFor();
  await page.goBack();
  await page.getByText("This is the end").waitFor();
  await page.goBack();
  await page.getByTitle(on.sample.last.id).waitFor();
  await eventually(async () => Math.abs((await page.evaluate(() => window.scrollY)) - left) < 2);
  await page.context().close();
});

test("the menu of a phone closes with Escape, and with a link to the page that is shown", async () => {
  const { page } = await on.open({ viewport: { width: 375, height: 700 } });
  await page.goto("/jobs?status=Queued");
  const menu = page.getByRole("button", { name: "Menu" });
  const jobs = page.getByRole("link", { name: "Jobs", exact: true });
  await menu.click();
  await jobs.click();
  await jobs.waitFor({ state: "hidden" });
  await menu.click();
  await jobs.focus();
  await page.keyboard.press("Escape");
  await jobs.waitFor({ state: "hidden" });
  assert.equal(await focused(page), "Menu");
  await page.context().close();
});

test("a dialog stays until it is answered, says a refusal, and that it is too late", async () => {
  const { page } = await on.open();
  const job = await on.api.launch(on.sample.pipeline.id);
  await on.api.claim(job.id, "hand");
  /** @type {(value?: unknown) => void} */
  let release = () => {};
  const held = new Promise((resolve) => (release = resolve));
  await page.route(`**/api/jobs/${job.id}/cancel`, async (route) => {
    await held;
    await route.fulfill({ status: 409, json: { detail: "not just now", code: "conflict" } });
  });
  await page.goto(`/jobs/${job.id}`);
  await page.getByRole("button", { name: "Cancel…" }).click();
  await page.getByText("hand is asked to stop").waitFor();
  await page.getByRole("button", { name: "Cancel the job" }).click();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  release();
  await page.getByRole("dialog").getByText("Not just now.").waitFor();
  await on.api.complete(job.id);
  await page.getByRole("dialog").getByText("It has ended meanwhile.").waitFor();
  assert.ok(await page.getByRole("button", { name: "Cancel the job" }).isDisabled());
  await page.context().close();
});

test("the focus is on the heading where the button is gone that opened a dialog", async () => {
  const { page } = await on.open();
  await page.goto(`/pipelines/${on.sample.pipeline.id}?version=1`);
  await page.getByRole("button", { name: "Go back to version 1…" }).click();
  await page.getByRole("button", { name: "Go back", exact: true }).click();
  await page.getByText("many, version 3").waitFor();
  assert.equal(await focused(page), "many");
  await page.context().close();
});

test("the focus stays on the button of what the server refused", async () => {
  const { page } = await on.open();
  const problem = { status: 503, json: { detail: "too much to do", code: "overloaded" } };
  await page.route("**/api/**", (route) => (route.request().method() === "GET" ? route.continue() : route.fulfill(problem)));
  await page.goto(`/jobs/${on.sample.last.id}`);
  await page.getByRole("button", { name: "Cancel…" }).click();
  await page.getByRole("button", { name: "Cancel the job" }).click();
  await page.getByRole("alert").getByText("Too much to do.").waitFor();
  assert.equal(await focused(page), "Cancel the job");
  await page.goto(`/pipelines/${on.sample.pipeline.id}`);
  await page.getByRole("button", { name: "Launch" }).click();
  await page.getByRole("alert").getByText("Too much to do.").waitFor();
  assert.equal(await focused(page), "Launch");
  await page.context().close();
});

test("an answer that breaks off is asked for again", async () => {
  const { page } = await on.open();
  let broken = 1;
  await page.route(`**/api/jobs/${on.sample.last.id}`, (route) =>
    broken-- > 0 ? route.fulfill({ contentType: "application/json", body: '{"id":' }) : route.continue(),
  );
  await page.goto(`/jobs/${on.sample.last.id}`);
  await page.getByText("The answer of the server broke off.").or(page.getByText("Why is it waiting?")).first().waitFor();
  await page.getByText("Why is it waiting?").waitFor();
  await page.context().close();
});

test("what is typed into a form is not lost without a question, whichever way one leaves", async () => {
  const { page } = await on.open();
  const edit = `/pipelines/${on.sample.pipeline.id}/edit`;
  await page.goto(`/pipelines/${on.sample.pipeline.id}`);
  await page.getByRole("link", { name: "Edit" }).click();
  const script = page.locator("[name=script]");
  await script.pressSequentially("typed");
  /** @type {string[]} */
  const asked = [];
  let isLeft = false;
  page.removeAllListeners("dialog");
  page.on("dialog", (dialog) => {
    asked.push(dialog.type());
    void (isLeft ? dialog.accept() : dialog.dismiss());
  });
  await page.getByRole("link", { name: "Jobs", exact: true }).click();
  await page.evaluate(() => history.back());
  await eventually(() => asked.length === 2);
  await page.evaluate(() => window.location.reload());
  await eventually(() => asked.length === 3);
  assert.deepEqual(asked, ["confirm", "confirm", "beforeunload"]);
  assert.ok(page.url().endsWith(edit));
  assert.match(await script.inputValue(), /typed/);
  isLeft = true;
  await page.goBack();
  await page.getByRole("heading", { level: 1, name: "many" }).waitFor();
  await page.getByRole("link", { name: "Edit" }).click();
  await script.waitFor();
  await page.getByRole("link", { name: "Jobs", exact: true }).click();
  await page.getByTitle(on.sample.last.id).waitFor();
  assert.equal(asked.length, 4, "nothing was changed, so nothing is asked");
  await page.context().close();
});

test("the end of a list is not told where it is not known, and a whole name of a runner is asked for", async () => {
  const { page } = await on.open();
  await page.goto("/jobs?cursor=nonsense");
  await page.getByText("The list of jobs cannot be shown").waitFor();
  assert.equal(await page.getByText("This is the end").count(), 0);
  await page.goto("/jobs?runner_id=han");
  await page.getByText("The runner is filtered by its whole name").waitFor();
  await page.goto(`/pipelines/${on.sample.pipeline.id}`);
  await page.getByRole("columnheader", { name: "Requested" }).waitFor();
  assert.equal(await page.getByRole("columnheader", { name: "Pipeline" }).count(), 0);
  await page.context().close();
});

test("a server that comes back with another store is read at once", async () => {
  const { page } = await on.open();
  await page.goto("/jobs");
  await page.getByText("Live", { exact: true }).waitFor();
  const job = await on.api.launch(on.sample.pipeline.id);
  await page.getByTitle(job.id).waitFor();
  await on.server.halt();
  for (const end of ["", "-wal", "-shm"]) await rm(on.server.file + end, { force: true });
  await on.server.restart();
  const asked = page.waitForRequest((request) => request.url().includes("/api/jobs?"), { timeout: 30_000 });
  assert.equal((await asked).headers()["rivet-min-position"], undefined);
  await page.getByText("No job yet").waitFor();
  await page.context().close();
});

/** @param {import("playwright-core").Page} page */
function focused(page) {
  return page.evaluate(() => document.activeElement?.textContent?.trim());
}
