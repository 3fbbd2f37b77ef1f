/** Commands from a page: launching, cancelling, revising, rebuilding; each says what it does, and its effect is shown. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { eventually } from "./support/eventually.js";
import { poison } from "./support/poison.js";
import { fill } from "./support/sample.js";
import { stage } from "./support/stage.js";

const on = stage(fill);

test("the launch form has the defaults and options of the inputs, says what is wrong, and launches", async () => {
  const { page } = await on.open();
  await page.goto(`/pipelines/${on.sample.greeting.id}`);
  assert.equal(await page.getByLabel("times").inputValue(), "2");
  assert.deepEqual(await page.getByLabel("tone").locator("option").allInnerTexts(), ["warm", "formal"]);
  await page.getByRole("button", { name: "Launch" }).click();
  assert.ok(await page.getByLabel("who").evaluate((/** @type {HTMLInputElement} */ field) => field.validity.valueMissing));
  await page.getByLabel("who").fill("Grace");
  await page.getByText("More", { exact: true }).click();
  await page.getByLabel("Further parameters").fill("[]");
  await page.getByRole("button", { name: "Launch" }).click();
  await page.getByRole("alert").getByText("no JSON object").waitFor();
  await page.getByLabel("Further parameters").fill('{"note": "hi"}');
  await page.getByRole("button", { name: "Launch" }).click();
  await page.waitForURL(/\/jobs\/[\da-f-]{36}$/);
  await page.getByText("1: Hi, Grace").waitFor();
  await page.getByText("Succeeded").first().waitFor();
  const job = await on.api.get(`/api/jobs/${page.url().split("/").pop()}`);
  assert.deepEqual(job.parameters, { who: "Grace", times: 2, loud: false, tone: "warm", note: "hi" });
  await page.context().close();
});

test("a job is cancelled with a reason, which its history tells, and then launched again", async () => {
  const waiting = await on.api.launch(on.sample.needy.id);
  const { page } = await on.open();
  await page.goto(`/jobs/${waiting.id}`);
  await page.getByRole("button", { name: "Cancel…" }).click();
  await page.getByLabel("Reason").fill("not today");
  await page.getByRole("button", { name: "Cancel the job" }).click();
  await page.getByText("Cancelled before it ran: not today by somebody at the dashboard").waitFor();
  await page.getByRole("button", { name: "Retry…" }).click();
  await page.getByRole("button", { name: "Launch again" }).click();
  await page.waitForURL((url) => url.pathname.startsWith("/jobs/") && !url.pathname.endsWith(waiting.id));
  await page.getByText("Retry of").first().waitFor();
  await page.context().close();
});

test("whoever leaves a page before its command is answered stays where he went", async () => {
  const { page } = await on.open();
  let hasLeft = false;
  await page.route("**/api/jobs/*/retry", async (route) => {
    const response = await route.fetch();
    await eventually(() => hasLeft);
    await route.fulfill({ response });
  });
  await page.goto("/jobs");
  await page.getByTitle(on.sample.failed.id).click();
  await page.getByRole("button", { name: "Retry…" }).click();
  await page.getByRole("button", { name: "Launch again" }).click();
  await page.goBack();
  await page.getByRole("heading", { level: 1, name: "Jobs" }).waitFor();
  hasLeft = true;
  await page.getByText("A new job was launched.").waitFor({ state: "attached" });
  assert.ok(page.url().endsWith("/jobs"));
  await page.context().close();
});

test("a pipeline is created, changed, compared and taken back", async () => {
  const { page } = await on.open();
  await page.goto("/pipelines/new");
  const script = page.getByLabel("Script", { exact: false }).first();
  await script.fill("return nonsense(");
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByRole("alert").waitFor();
  await script.fill("return { name = 'made here', stages = { { name = 'one', script = function() end } } }");
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByRole("heading", { name: "made here" }).waitFor();
  await page.getByRole("link", { name: "Edit" }).click();
  await script.fill("return { name = 'changed here', stages = { { name = 'two', script = function() end } } }");
  await page.getByLabel("The script says everything").check();
  await page.getByRole("button", { name: "Save as a new version" }).click();
  await page.getByRole("heading", { name: "changed here" }).waitFor();
  await page.getByLabel("Compare with").selectOption("1");
  await page.locator(".diff-removed").getByText("made here").waitFor();
  await page.getByRole("combobox", { name: "Version" }).selectOption("1");
  await page.getByRole("button", { name: "Go back to version 1…" }).click();
  await page.getByRole("button", { name: "Go back", exact: true }).click();
  await page.getByRole("heading", { name: "made here" }).waitFor();
  await page.context().close();
});

test("whoever saves over a newer version is told of it first", async () => {
  const { page } = await on.open();
  const { id } = await on.api.createPipeline({ name: "shared", script: "-- one" });
  await page.goto(`/pipelines/${id}/edit`);
  const script = page.getByLabel("Script", { exact: false }).first();
  await script.fill("-- mine");
  await on.api.send("PUT", `/api/pipeline/${id}`, { name: "shared", script: "-- theirs" });
  await page.getByText("Version 2 was saved while you edit.").waitFor();
  assert.equal(await script.inputValue(), "-- mine");
  await page.getByRole("button", { name: "Save as a new version" }).click();
  await page.getByRole("alert").getByText("Somebody saved version 2 meanwhile.").waitFor();
  assert.equal((await on.api.get(`/api/pipeline/${id}`)).version, 2);
  await page.getByRole("button", { name: "Save as a new version" }).click();
  await page.waitForURL(`**/pipelines/${id}`);
  assert.equal((await on.api.get(`/api/pipeline/${id}`)).script, "-- mine");
  await page.context().close();
});

test("whoever goes back to a version is told first of one that was saved meanwhile", async () => {
  const { page } = await on.open();
  const { id } = await on.api.createPipeline({ name: "one", script: "--" });
  await on.api.send("PUT", `/api/pipeline/${id}`, { name: "two", script: "--" });
  /** @type {(string | undefined)[]} */
  const replaced = [];
  const refusal = { status: 412, json: { detail: "another version is current", code: "version_changed" } };
  await page.route("**/rollback", (route) => {
    replaced.push(route.request().headers()["if-match"]);
    return replaced.length === 1 ? route.fulfill(refusal) : route.continue();
  });
  await page.goto(`/pipelines/${id}?version=1`);
  await page.getByRole("button", { name: "Go back to version 1…" }).click();
  await on.api.send("PUT", `/api/pipeline/${id}`, { name: "three", script: "--" });
  await page.getByRole("heading", { level: 1, name: "three" }).waitFor({ state: "attached" });
  const goBack = page.getByRole("button", { name: "Go back", exact: true });
  await goBack.click();
  await page.getByRole("alert").getByText("Somebody saved version 3 meanwhile.").waitFor();
  await goBack.click();
  await page.getByRole("heading", { level: 1, name: "one" }).waitFor();
  assert.deepEqual(replaced, ['"2"', '"3"']);
  await page.context().close();
});

test("what is being written stays where its pipeline is deleted meanwhile", async () => {
  const { page } = await on.open();
  const { id } = await on.api.createPipeline({ name: "short-lived", script: "-- one" });
  await page.goto(`/pipelines/${id}/edit`);
  const script = page.getByLabel("Script", { exact: false }).first();
  await script.fill("-- hours of work");
  await on.api.send("DELETE", `/api/pipeline/${id}`);
  await page.getByText("It was deleted while you edit").waitFor();
  assert.equal(await script.inputValue(), "-- hours of work");
  page.removeAllListeners("dialog");
  page.on("dialog", (dialog) => void dialog.accept());
  await page.goto(`/jobs?pipeline_id=${id}`);
  await page.getByText("No job is like that").waitFor();
  assert.equal(await page.getByRole("combobox").inputValue(), id);
  await page.context().close();
});

test("a projection is rebuilt", async () => {
  const { page } = await on.open();
  await page.goto("/projections");
  await page.getByRole("button", { name: "Rebuild jobs…" }).click();
  const answer = page.waitForResponse((response) => response.url().endsWith("/api/projections/jobs/rebuild"));
  await page.getByRole("button", { name: "Rebuild", exact: true }).click();
  assert.equal((await answer).status(), 202);
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.context().close();
});

test("a parked stream is shown with what went wrong, and skipped with a reason", async () => {
  const { page } = await on.open();
  const job = await on.api.launch(on.sample.needy.id);
  await on.server.halt();
  await poison(on.server.file, job.id);
  await on.server.restart();
  await page.goto("/projections");
  const parked = page.getByRole("region", { name: "Parked in jobs" });
  await parked.getByText("job.teleported cannot be read").waitFor();
  await parked.getByRole("button", { name: `Skip the event of job/${job.id}…` }).click();
  await page.getByLabel("Reason").fill("withdrawn");
  await page.getByRole("button", { name: "Skip the event", exact: true }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await parked.getByText("job.teleported cannot be read").waitFor({ state: "detached" });
  const { events } = await on.api.get("/api/events?type=projection.event_skipped");
  const skipped = { projection: "jobs", stream: `job/${job.id}`, reason: "withdrawn" };
  assert.deepEqual({ ...events[0].payload, ...skipped }, events[0].payload);
  await page.context().close();
});
