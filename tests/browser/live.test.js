/** Live updates of an open page: it shows changes by itself, and keeps what is being typed. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { pretendHidden } from "./support/browser.js";
import { eventually } from "./support/eventually.js";
import { fill } from "./support/sample.js";
import { stage } from "./support/stage.js";

const on = stage(fill);

test("a launch elsewhere appears in the list of jobs by itself", async () => {
  const { page } = await on.open();
  await page.goto("/jobs");
  await page.getByText("Live", { exact: true }).waitFor();
  const job = await on.api.launch(on.sample.needy.id);
  await page.getByTitle(job.id).waitFor();
  await page.context().close();
});

test("rows stay where they are while the pointer moves over them, so that nobody clicks what has just slipped there", async () => {
  const { page } = await on.open();
  await page.clock.install();
  await page.goto("/jobs");
  await page.getByText("Live", { exact: true }).waitFor();
  /** @type {string[]} */
  const answers = [];
  page.on("response", async (response) => response.url().includes("/api/jobs?") && answers.push(await response.text()));
  await page.getByRole("row").nth(1).hover();
  const { id } = await on.api.launch(on.sample.needy.id);
  const { x, y } = /** @type {{ x: number, y: number }} */ (await page.getByRole("row").nth(1).boundingBox());
  // The time of the page goes on only from one movement to the next, however slow this machine is.
  await page.clock.pauseAt(await page.evaluate(() => Date.now() + 1));
  let step = 0;
  await eventually(async () => {
    step += 1;
    await page.mouse.move(x + 50 + (step % 50), y + 10);
    await page.clock.runFor(200);
    return answers.some((answer) => answer.includes(id));
  });
  await page.mouse.move(x + 40, y + 10);
  await page.clock.runFor(200);
  assert.equal(await page.getByTitle(id).count(), 0);
  await page.mouse.move(0, 0);
  await page.clock.resume();
  await page.getByTitle(id).waitFor();
  await page.context().close();
});

test("what is being typed into a filter stays while the page shows something new", async () => {
  for (const [path, label] of [
    ["/jobs", "Runner"],
    ["/events", "Id"],
  ]) {
    const { page } = await on.open();
    await page.goto(String(path));
    await page.getByText("Live", { exact: true }).waitFor();
    const field = page.getByLabel(String(label), { exact: true });
    await field.pressSequentially("docker-");
    const job = await on.api.launch(on.sample.needy.id);
    await page.getByTitle(job.id).or(page.getByText("Launched with priority")).first().waitFor();
    assert.equal(await field.inputValue(), "docker-");
    await field.press("Enter");
    await page.waitForURL(/=docker-$/);
    await page.context().close();
  }
});

test("a search may go on after a space", async () => {
  const { page } = await on.open();
  await page.goto("/jobs");
  const field = page.getByLabel("Search");
  await field.pressSequentially("inputs ");
  await page.waitForURL(/search=inputs$/);
  await field.pressSequentially("and");
  await page.waitForURL(/search=inputs\+and$/);
  await page.context().close();
});

test("a letter that is typed while the search before it begins is not lost", async () => {
  const { page } = await on.open();
  await page.clock.install();
  await page.goto("/jobs");
  const field = page.getByLabel("Search");
  await field.waitFor();
  await page.clock.pauseAt(await page.evaluate(() => Date.now() + 1_000));
  await field.pressSequentially("ab");
  // The next letter comes before the page has been painted with what is searched for.
  while (!(await page.evaluate(() => window.location.search.endsWith("=ab")))) await page.clock.runFor(1);
  await field.pressSequentially("c");
  assert.equal(await field.inputValue(), "abc");
  await page.clock.runFor(1_000);
  await page.waitForURL(/search=abc$/);
  await page.context().close();
});

test("a job that waits is asked for again, since what it waits for is no event of its own", async () => {
  const { page } = await on.open();
  await page.clock.install();
  let asked = 0;
  page.on("request", (request) => (asked += request.url().endsWith(`/api/jobs/${on.sample.waiting.id}`) ? 1 : 0));
  await page.goto(`/jobs/${on.sample.waiting.id}`);
  await page.getByText("Why is it waiting?").waitFor();
  const before = asked;
  await page.clock.runFor(30_000);
  await eventually(() => asked > before + 2);
  await page.context().close();
});

test("a job that waits for its group says which one, and what holds its places", async () => {
  const { page } = await on.open();
  const grouped = { name: "in turn", script: "--", required_modules: ["hand"], config: { concurrency_group: "one & only" } };
  const { id } = await on.api.createPipeline(grouped);
  const holder = await on.api.launchOn("hand", id);
  const waiting = await on.api.launch(id);
  await page.goto(`/jobs/${waiting.id}`);
  await page.getByText("Its concurrency group runs as many jobs as it may.").waitFor();
  await page.getByTitle(holder.id).waitFor();
  await page.getByRole("link", { name: "one & only" }).click();
  await page.getByText("A place of the group one & only was taken").waitFor();
  await on.api.complete(holder.id);
  await page.context().close();
});

test("the overview counts what waits, as it changes", async () => {
  const { page } = await on.open();
  await page.goto("/");
  const waiting = page.getByRole("link", { name: /^Queued/ });
  await waiting.waitFor();
  await page.getByText("Live", { exact: true }).waitFor();
  const before = await countOf(waiting);
  await on.api.launch(on.sample.needy.id);
  await eventually(async () => (await countOf(waiting)) === before + 1);
  await page.context().close();
});

test("the feed tells events as they come, can be paused, and filtered", async () => {
  const { page } = await on.open();
  await page.goto("/events?type=pipeline.created");
  await page.getByText("Pipeline deploy created").waitFor();
  assert.equal(await page.getByText("job.launched").filter({ visible: true }).count(), 0);
  await on.api.createPipeline({ name: "seen at once", script: "--" });
  await page.getByText("Pipeline seen at once created").waitFor();
  await page.getByRole("button", { name: "Pause" }).click();
  await on.api.createPipeline({ name: "seen later", script: "--" });
  await page.getByText("1 more have come meanwhile.").waitFor();
  assert.equal(await page.getByText("seen later").count(), 0);
  await page.getByRole("button", { name: "Show them" }).click();
  await page.getByText("Pipeline seen later created").waitFor();
  await page.context().close();
});

test("a hidden page holds no stream, and catches up with the head of the log when it is seen again", async () => {
  const { page } = await on.open();
  await page.goto("/jobs");
  await page.getByText("Live", { exact: true }).waitFor();
  await pretendHidden(page, true);
  await page.getByText("Paused").waitFor();
  const job = await on.api.launch(on.sample.needy.id);
  const { head } = await on.api.get("/api/events?limit=1");
  const asked = page.waitForRequest((request) => Number(request.headers()["rivet-min-position"]) >= head);
  await pretendHidden(page, false);
  await asked;
  await page.getByTitle(job.id).waitFor();
  await page.context().close();
});

test("when the server is away the page says so and keeps what it has, and goes on by itself when it is back", async () => {
  const { page } = await on.open();
  await page.goto("/jobs");
  await page.getByText("Live", { exact: true }).waitFor();
  await page.getByRole("row").nth(1).waitFor();
  const log = await on.open();
  await log.page.goto(`/jobs/${on.sample.coloured.id}`);
  await log.page.getByText("entries · live").waitFor();
  await on.server.halt();
  await page.getByText("Server away").waitFor();
  await log.page.getByText("entries · connecting again…").waitFor();
  assert.ok((await page.getByRole("row").count()) > 1);
  await on.server.restart();
  await page.getByText("Live", { exact: true }).waitFor({ timeout: 30_000 });
  await log.page.getByText("entries · live").waitFor({ timeout: 30_000 });
  await log.page.context().close();
  const job = await on.api.launch(on.sample.needy.id);
  await page.getByTitle(job.id).waitFor();
  await page.context().close();
});

test("a page that is gone to while the server is away is shown when it is back", async () => {
  const { page } = await on.open();
  await page.goto("/jobs");
  await page.getByText("Live", { exact: true }).waitFor();
  await on.server.halt();
  await page.getByText("Server away").waitFor();
  await page.getByRole("link", { name: "Runners", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "The server is away" }).waitFor();
  await on.server.restart();
  await page.getByText("build-1").first().waitFor({ timeout: 30_000 });
  assert.ok(page.url().endsWith("/runners"));
  await page.context().close();
});

test("a search finds jobs wherever they are in the list, and its address can be sent to somebody", async () => {
  const { page } = await on.open();
  const rare = await on.api.createPipeline({ name: "Rare bird", script: "--" });
  const job = await on.api.launch(rare.id);
  for (let later = 0; later < 60; later += 1) await on.api.launch(on.sample.needy.id);
  await page.goto("/jobs");
  await page.getByRole("row").nth(50).waitFor();
  assert.equal(await page.getByTitle(job.id).count(), 0);
  await page.getByLabel("Search").fill("rare b");
  await page.getByTitle(job.id).waitFor();
  assert.equal(await page.getByRole("row").count(), 2);
  await page.waitForURL(/\?search=rare\+b$/);
  await page.reload();
  await page.getByTitle(job.id).waitFor();
  await page.getByLabel("Search").fill(job.id.slice(-8));
  await page.waitForURL((url) => url.searchParams.get("search") === job.id.slice(-8));
  await page.getByTitle(job.id).waitFor();
  await page.getByLabel("Search").fill("nobody's");
  await page.getByText("No job is like that").waitFor();
  await page.getByLabel("Search").fill(job.id);
  await page.waitForURL(`**/jobs/${job.id}`);
  await page.context().close();
});

/** @param {import("playwright-core").Locator} tile */
async function countOf(tile) {
  return Number(await tile.locator(".tile-value").innerText());
}
