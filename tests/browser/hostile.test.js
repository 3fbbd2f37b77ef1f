/** Texts that contain markup or code: they are shown as they are, and nothing in them ever runs. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { eventually } from "./support/eventually.js";
import { stage } from "./support/stage.js";

const ESCAPE = "\u001b";
const BELL = "\u0007";

/** Each would be noticed if it ran: by a dialog, or by this name on the window. */
const ATTACKS = [
  "<script>window.hacked = 1; alert(1)</script>",
  '<img src=x onerror="window.hacked = 1; alert(2)">',
  '"><svg onload="window.hacked = 1"></svg>',
  "'-alert(3)-'",
  "javascript:window.hacked=1",
  "${window.hacked = 1}{{hacked}}",
  "</textarea><iframe srcdoc='<script>parent.hacked=1</script>'></iframe>",
];
const ATTACK = ATTACKS.join(" ");

const LINKS = [
  `${ESCAPE}]8;;javascript:window.hacked=1${ESCAPE}\\bad link${ESCAPE}]8;;${ESCAPE}\\`,
  `${ESCAPE}]8;;data:text/html,<script>1</script>${BELL}bad data${ESCAPE}]8;;${BELL}`,
  `${ESCAPE}]8;;https://example.com/"onmouseover="window.hacked=1${ESCAPE}\\good link${ESCAPE}]8;;${ESCAPE}\\`,
  `${ESCAPE}[31m<b>red</b>${ESCAPE}[0m ${ESCAPE}[38;2;1;2;3mx" style="position:fixed${ESCAPE}[0m`,
  `${ESCAPE}]8;;https://example.com`,
  `${ESCAPE}[`,
];

/** @param {import("./support/server.js").Server} server */
async function poison({ api }) {
  const runner = `<b onclick="window.hacked=1">runner</b>`;
  const pipeline = await api.createPipeline({
    name: ATTACK,
    description: ATTACK,
    script: `-- ${ATTACK}`,
    required_modules: ["hand"],
    tags: ATTACKS,
    config: { env_vars: { X: ATTACK } },
  });
  await api.send("PUT", `/api/pipeline/${pipeline.id}`, {
    name: ATTACK,
    script: `-- more ${ATTACK}`,
    required_modules: ["hand"],
  });
  await api.send("POST", "/api/runners/register", { runner_id: runner, capabilities: ["hand", ...ATTACKS] });
  const failed = await api.launch(pipeline.id, { [ATTACK]: ATTACK });
  await api.claim(failed.id, runner);
  await api.log(failed.id, [...ATTACKS, ...LINKS]);
  await api.complete(failed.id, { success: false, exit_code: 1, output: { [ATTACK]: ATTACK }, error_message: ATTACK });
  const cancelled = await api.launch(pipeline.id);
  await api.send("POST", `/api/jobs/${cancelled.id}/cancel`, { reason: ATTACK });
  const waiting = await api.createPipeline({ name: "waits", script: "--", required_modules: ATTACKS });
  const starved = await api.launch(waiting.id);
  const asking = await api.createPipeline({ script: definition() });
  return { pipeline, failed, cancelled, starved, asking };
}

/** A definition whose inputs are hostile too. */
function definition() {
  const text = JSON.stringify(ATTACK).replaceAll("\\u", "\\\\u");
  return `return { name = "asks", inputs = { [${text}] = { type = "string", description = ${text}, default = ${text}, options = { ${text} } } }, stages = { { name = ${text}, script = function() end } } }`;
}

const on = stage(poison);

test("no text of a pipeline, a job, a log, a runner or an event becomes markup or runs", async (t) => {
  const { pipeline, failed, cancelled, starved, asking } = on.sample;
  const paths = [
    "/",
    "/jobs",
    `/jobs?search=${encodeURIComponent(ATTACK)}&runner_id=${encodeURIComponent(ATTACK)}`,
    `/jobs/${failed.id}#L1`,
    `/jobs/${cancelled.id}`,
    `/jobs/${starved.id}`,
    `/jobs/${encodeURIComponent(ATTACK)}`,
    "/pipelines",
    `/pipelines/${pipeline.id}`,
    `/pipelines/${pipeline.id}?from=1`,
    `/pipelines/${pipeline.id}/edit`,
    `/pipelines/${asking.id}`,
    "/runners",
    "/events",
    `/events?stream_id=${encodeURIComponent(ATTACK)}`,
    "/projections",
    `/${encodeURIComponent(ATTACK)}`,
  ];
  for (const path of paths) {
    await t.test(path.slice(0, 60), async () => {
      const { page, problems } = await on.open();
      await page.goto(path);
      await page.getByRole("heading", { level: 1 }).waitFor();
      await page.getByText("Live", { exact: true }).waitFor();
      await eventually(async () => (await page.locator(".loading").count()) === 0);
      for (const summary of await page.locator("summary").all()) await summary.click();
      assert.deepEqual(await page.evaluate(foreignElements), []);
      assert.equal(await page.evaluate(() => /** @type {any} */ (window).hacked), undefined);
      assert.deepEqual(
        problems.filter((problem) => !/^4\d\d: /.test(problem)),
        [],
      );
      await page.context().close();
    });
  }
});

test("links in a log lead to the web alone, and say everything as text", async () => {
  const { page } = await on.open();
  await page.goto(`/jobs/${on.sample.failed.id}`);
  const log = page.getByRole("region", { name: "Log lines" });
  await log.getByText("good link").waitFor();
  assert.match((await log.getByRole("link", { name: "good link" }).getAttribute("href")) ?? "", /^https:\/\/example\.com\//);
  assert.equal(await log.getByRole("link", { name: "bad" }).count(), 0);
  await log.getByText("bad link").waitFor();
  await log.getByText("<b>red</b>").waitFor();
  await log.getByText(ATTACKS[0] ?? "", { exact: true }).waitFor();
  await page.context().close();
});

test("the policy of the page lets nothing run but the files of the dashboard", async () => {
  const response = await fetch(on.server.address);
  const policy = response.headers.get("content-security-policy") ?? "";
  for (const rule of [
    "default-src 'none'",
    "script-src 'self' 'sha256-",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ]) {
    assert.ok(policy.includes(rule), `${rule} in ${policy}`);
  }
  assert.ok(!policy.includes("unsafe"), policy);
  const { page } = await on.open();
  await page.goto("/");
  const ran = await page.evaluate(() => {
    const script = document.createElement("script");
    script.append("window.hacked = 1");
    try {
      document.body.append(script);
      document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.hacked = 2'>");
    } catch {
      // Trusted types refuse this.
    }
    return /** @type {any} */ (window).hacked;
  });
  assert.equal(ran, undefined);
  await page.context().close();
});

/** Elements and attributes that the dashboard itself never makes. Runs in the page. */
function foreignElements() {
  const elements = [...document.querySelectorAll("#app script, #app img, #app iframe, #app svg, #app b, #app object")];
  const handlers = [...document.querySelectorAll("#app *")].filter((element) =>
    [...element.attributes].some(
      ({ name, value }) => name.startsWith("on") || /^\s*(javascript|data):/i.test(name === "href" ? value : ""),
    ),
  );
  return [...elements, ...handlers].map((element) => element.outerHTML);
}
