/** Every page shows its content at any width, can be opened by its address, and can be used by keyboard. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { fill, pagesOf } from "./support/sample.js";
import { stage } from "./support/stage.js";

const on = stage(fill);

/** Widths of a desktop and of a phone, in pixels. */
const WIDTHS = [1_280, 375];

test("every page shows what it should by its address alone, without a complaint and without scrolling sideways", async (t) => {
  for (const [name, { path, heading, shows }] of Object.entries(pagesOf(on.sample))) {
    for (const width of WIDTHS) {
      await t.test(`${name} at ${width} px`, async () => {
        const { page, problems } = await on.open({ viewport: { width, height: 800 } });
        await page.goto(path);
        await page.getByRole("heading", { level: 1, name: heading }).waitFor();
        await page.getByText(shows).filter({ visible: true }).first().waitFor();
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        assert.ok(overflow <= 0, `${overflow} px too wide`);
        assert.deepEqual(problems, []);
        await page.context().close();
      });
    }
  }
});

test("a link changes the page without a reload, moves the focus to its heading, and the way back works", async () => {
  const { page } = await on.open();
  await page.goto("/");
  await page.evaluate(() => (document.body.dataset.witness = "here"));
  await page.getByRole("link", { name: "Jobs", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "Jobs" }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Jobs");
  assert.equal(await page.evaluate(() => document.body.dataset.witness), "here");
  assert.equal(await page.title(), "Jobs · Rivet");
  await page.goBack();
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  await page.context().close();
});

test("the keyboard alone reaches the content, and the focus is seen", async () => {
  const { page } = await on.open();
  await page.goto("/jobs");
  await page.getByRole("heading", { level: 1, name: "Jobs" }).waitFor();
  await page.keyboard.press("Tab");
  const skip = page.getByRole("link", { name: "Skip to the content" });
  assert.ok(await skip.evaluate((link) => link === document.activeElement));
  assert.ok(((await skip.boundingBox())?.y ?? -1) >= 0, "the link is seen when it has the focus");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "main");
  await page.keyboard.press("Tab");
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement ?? document.body).outlineStyle);
  assert.equal(outline, "solid");
  await page.context().close();
});

test("filters are kept by the address, and by a reload", async () => {
  const { page } = await on.open();
  await page.goto("/jobs");
  await page.getByText("Cancelled", { exact: true }).first().click();
  await page.waitForURL(/status=Cancelled/);
  await page.getByText("1 job").or(page.getByText("wrong branch")).first().waitFor();
  await page.reload();
  await page.getByText("wrong branch").waitFor();
  assert.equal(await page.getByRole("row").count(), 2);
  await page.context().close();
});

test("a theme that was chosen stays after a reload", async () => {
  const { page } = await on.open({ colorScheme: "light" });
  await page.goto("/");
  await page.getByRole("button", { name: "Theme: system" }).click();
  await page.getByRole("button", { name: "Theme: light" }).click();
  await page.reload();
  await page.getByRole("button", { name: "Theme: dark" }).waitFor();
  const background = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  assert.equal(background, "rgb(20, 23, 28)");
  await page.context().close();
});

test("what is not there says so, and where to go", async () => {
  const { page } = await on.open();
  for (const id of ["00000000-0000-7000-8000-000000000000", "xyz"]) {
    for (const kind of ["job", "pipeline"]) {
      await page.goto(`/${kind}s/${id}`);
      await page.getByText(`There is no ${kind} ${id}`).waitFor();
      assert.equal(await page.getByRole("button", { name: "Try again" }).count(), 0);
      await page.getByRole("link", { name: `Show all ${kind}s` }).click();
      await page.waitForURL(`**/${kind}s`);
    }
  }
  await page.goto("/events?after=99999999");
  await page.getByText("No event is there").waitFor();
  await page.goto(`/pipelines/${on.sample.hello.id}?version=99`);
  await page.getByText("There is no version 99: this is the current one.").waitFor();
  await page.goto("/nowhere");
  await page.getByRole("heading", { name: "No such page" }).waitFor();
  await page.getByRole("link", { name: "overview", exact: true }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.context().close();
});

test("a page of another build says that loading anew helps, and the others go on", async () => {
  const { page } = await on.open();
  await page.route("**/pages/runners.js", (route) => route.fulfill({ status: 404 }));
  await page.goto("/");
  await page.getByRole("link", { name: "Runners", exact: true }).click();
  await page.getByRole("button", { name: "Load anew" }).waitFor();
  await page.getByRole("link", { name: "Jobs", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "Jobs" }).waitFor();
  await page.context().close();
});

test("a chart has room for the labels of long waits", async () => {
  const { page } = await on.open();
  await page.route("**/api/stats/history?*", async (route) => {
    const response = await route.fetch();
    const points = (await response.json()).map((/** @type {object} */ point) => ({ ...point, longest_wait_seconds: 1_000 }));
    await route.fulfill({ response, json: points });
  });
  await page.goto("/");
  const [depth, waits] = [page.locator(".u-over").first(), page.locator(".u-over").nth(1)];
  await waits.waitFor();
  const leftOf = (/** @type {HTMLElement} */ plot) => plot.offsetLeft;
  assert.ok((await waits.evaluate(leftOf)) > (await depth.evaluate(leftOf)) + 10);
  await page.context().close();
});

test("what the server calls stale is shown as that, and asked for again until it is not, also without an event", async () => {
  const { page } = await on.open();
  await page.clock.install();
  // The feed does not begin, so nothing but the stale answer is a reason to ask again.
  await page.route("**/api/events?limit=1", () => {});
  let isStale = true;
  await page.route("**/api/jobs?*", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, headers: { ...response.headers(), "rivet-stale": String(isStale) } });
  });
  await page.goto("/jobs");
  const notice = page.getByText("The server is catching up");
  await notice.waitFor();
  isStale = false;
  await page.clock.runFor(10_000);
  await notice.waitFor({ state: "detached" });
  await page.getByRole("row").nth(1).waitFor();
  await page.context().close();
});

test("a list that is overloaded is asked for again by itself", async () => {
  const { page } = await on.open();
  let refusals = 1;
  const problem = { detail: "too much to do", code: "overloaded" };
  await page.route("**/api/jobs?*", (route) =>
    refusals-- > 0 ? route.fulfill({ status: 503, json: problem }) : route.continue(),
  );
  await page.goto("/jobs");
  await page.getByText("it is asked again in a moment").or(page.getByRole("row").nth(1)).first().waitFor();
  await page.getByRole("row").nth(1).waitFor();
  await page.context().close();
});

test("a list is shown over all its pages, and says so where there are more than it shows", async () => {
  const { page } = await on.open();
  const [runner] = await on.api.get("/api/runners");
  let pages = 3;
  let asked = 0;
  await page.route("**/api/runners?*", (route) => {
    asked += 1;
    const link = asked < pages ? { link: `</api/runners?cursor=${asked}>; rel="next"` } : undefined;
    return route.fulfill({ json: [{ ...runner, id: `runner-${asked}` }], headers: link });
  });
  await page.goto("/runners");
  await page.getByRole("link", { name: "runner-3", exact: true }).waitFor();
  assert.equal(await page.getByText("there are more").count(), 0);
  asked = 0;
  pages = 100;
  await page.reload();
  await page.getByText("Of the newest 10 runners only: there are more.").waitFor();
  await page.context().close();
});

test("how busy the runners were is shown after it could not be loaded, and said to be a part only where it is one", async () => {
  const { page } = await on.open();
  const { length } = await on.api.get("/api/jobs");
  await page.route("**/api/jobs?since=*", (route) => route.fulfill({ status: 500, json: { detail: "broken" } }), { times: 1 });
  await page.goto("/runners");
  await page.getByText("The history of the runners cannot be shown").waitFor();
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByRole("list", { name: "How busy each runner was" }).waitFor();
  assert.equal(await page.getByText("there were more").count(), 0);
  await page.route("**/api/jobs?*since=*", async (route) => {
    const response = await route.fetch();
    const link = `<${route.request().url()}>; rel="next"`;
    await route.fulfill({ response, headers: { ...response.headers(), link } });
  });
  await page.reload();
  await page.getByText(`Of the jobs that run, and the last ${length * 5} jobs only: there were more.`).waitFor();
  await page.context().close();
});

test("a runner is shown as busy with a job that was requested before the recent ones", async () => {
  const { page } = await on.open();
  const job = await on.api.get(`/api/jobs/${on.sample.coloured.id}`);
  const long = { ...job, started_at: new Date(Date.now() - 9 * 3_600_000).toISOString() };
  await page.route("**/api/jobs?since=*", (route) => route.fulfill({ json: [] }));
  await page.route("**/api/jobs?status=Running*", (route) => route.fulfill({ json: [long] }));
  await page.goto("/runners");
  const row = page.getByRole("list", { name: "How busy each runner was" }).getByRole("listitem").filter({ hasText: "hand" });
  await row.getByRole("img", { name: /^busy (9\d|100)% of the time$/ }).waitFor();
  await page.getByText("Of the jobs that run, and those requested in the last 8 hours.").waitFor();
  await page.context().close();
});

test("the parked streams of a projection are listed once, and anew while it is rebuilt", async () => {
  const { page } = await on.open();
  const stream = { stream_type: "job", position: 3, error: "unreadable" };
  let ids = ["a", "b"];
  await page.route("**/api/projections/jobs/parked", (route) =>
    route.fulfill({ json: ids.map((id) => ({ ...stream, stream_id: id })) }),
  );
  await page.route("**/api/projections", async (route) => {
    const all = await (await route.fetch()).json();
    const jobs = { ...all.find((/** @type {any} */ { name }) => name === "jobs"), parked: 2 };
    await route.fulfill({ json: [...all, jobs, { ...jobs, state: "rebuilding", position: 1 }] });
  });
  await page.goto("/projections");
  await page.getByText("job/a").waitFor();
  assert.equal(await page.getByRole("heading", { name: "Parked in jobs" }).count(), 1);
  ids = ["b"];
  await page.getByText("job/a").waitFor({ state: "detached" });
  await page.getByText("job/b").waitFor();
  await page.context().close();
});

test("a job that is tried again tells how its last attempt failed", async () => {
  const { page } = await on.open();
  const { pipeline_id: byHand } = await on.api.get(`/api/jobs/${on.sample.coloured.id}`);
  const job = await on.api.launchOn("hand", byHand);
  await on.api.complete(job.id, { success: false, exit_code: 3, error_message: "no space left" });
  await page.goto(`/jobs/${job.id}`);
  const failure = "attempt 1 failed with exit code 3: no space left";
  await page.getByRole("region", { name: "Result" }).getByText(failure).waitFor();
  await page.getByRole("region", { name: "Timeline" }).getByText(failure).waitFor();
  await page.getByRole("button", { name: `Back in the queue: ${failure}` }).waitFor();
  await page.context().close();
});

test("the history tells who cancelled a job and why, and the slider how it stood before", async () => {
  const { page } = await on.open();
  await page.goto(`/jobs/${on.sample.cancelled.id}`);
  await page.getByText("Cancelled before it ran: wrong branch").waitFor();
  const stood = page.locator(".state-after");
  assert.match(await stood.innerText(), /Status\s+Cancelled/);
  await page.getByRole("slider").focus();
  await page.keyboard.press("ArrowLeft");
  await page.getByText("How it stood after event 1").waitFor();
  assert.match(await stood.innerText(), /Status\s+Queued/);
  await page.reload();
  await page.getByText("How it stood after event 1").waitFor();
  await page.context().close();
});
