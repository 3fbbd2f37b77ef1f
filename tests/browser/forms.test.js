/** Forms: they send what was meant, also for values that they cannot show, and after a lost answer. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { stage } from "./support/stage.js";

const STAGES = "stages = { { name = 'one', script = function() end } }";
/** A whole number that JavaScript cannot represent. */
const HUGE = "1234567890123456789";

/** @param {import("./support/server.js").Server} server */
async function prepare({ api }) {
  const said = await api.createPipeline({
    name: "said beside",
    description: "in two\nlines",
    script: `-- CRLF\r\nreturn { name = 'in the script', requires = { 'docker' }, config = { priority = 3 }, ${STAGES} }`,
    required_modules: ["gpu", "a,b"],
    tags: ["nightly", { key: "os", value: "linux" }],
    config: { timeout_seconds: 77, max_retries: 3, env_vars: { CERT: "begin\r\na=b\n", PAD: "  x  ", "A B": "odd" } },
  });
  const plain = await api.createPipeline({ name: "plain", script: "-- a stage, in words" });
  const script = `return { name = 'numbers', ${STAGES}, inputs = {
    ['build id'] = { type = 'number', default = ${HUGE} },
    id = { type = 'number', required = true },
  } }`;
  return { said, plain, numbers: await api.createPipeline({ script }) };
}

const on = stage(prepare);

test("saving a pipeline untouched changes nothing of it, whatever the form cannot show", async () => {
  for (const before of [on.sample.said, on.sample.plain, on.sample.numbers]) {
    const { page, problems } = await on.open();
    await page.goto(`/pipelines/${before.id}/edit`);
    const whole = page.getByLabel("The script says everything");
    assert.equal(await whole.isChecked(), before === on.sample.numbers);
    await page.getByRole("button", { name: "Save as a new version" }).click();
    await page.waitForURL(`**/pipelines/${before.id}`);
    assert.deepEqual(await on.api.get(`/api/pipeline/${before.id}`), before);
    assert.deepEqual(problems, []);
    await page.context().close();
  }
});

test("what is changed beside the script is saved, and all else stays", async () => {
  const { page } = await on.open();
  const { id, config } = on.sample.said;
  await page.goto(`/pipelines/${id}/edit`);
  await page.locator("[name=timeout_seconds]").fill("9");
  await page.getByLabel("Value of PAD").fill(" y=1\nz ");
  await page.getByRole("button", { name: "Remove A B" }).click();
  await page.getByRole("button", { name: "Add a variable" }).click();
  const added = page.getByLabel("Name of variable 3");
  assert.ok(await added.evaluate((field) => field === document.activeElement));
  await added.fill("NEW");
  await page.getByLabel("Value of NEW").fill("new");
  const whole = page.getByLabel("The script says everything");
  await whole.check();
  await page.getByText("What was said beside the script until now is dropped.").waitFor();
  await whole.uncheck();
  await page.getByRole("button", { name: "Save as a new version" }).click();
  await page.waitForURL(`**/pipelines/${id}`);
  const after = await on.api.get(`/api/pipeline/${id}`);
  const environment = { CERT: config.env_vars.CERT, PAD: " y=1\nz ", NEW: "new" };
  const changed = { version: 2, updated_at: after.updated_at, config: { ...config, timeout_seconds: 9, env_vars: environment } };
  assert.deepEqual(after, { ...on.sample.said, ...changed });
  await page.goto(`/pipelines/${id}/edit`);
  await page.locator("[name=required_modules]").fill("gpu");
  await page.getByRole("button", { name: "Save as a new version" }).click();
  await page.getByRole("alert").getByText('"a,b" cannot be written in this list').waitFor();
  await page.context().close();
});

test("what a script says takes effect where it said everything, and a broken one is not saved without a question", async () => {
  const { page } = await on.open();
  const { id } = await on.api.createPipeline({
    script: `return { name = 'before', inputs = { who = { type = 'string' } }, ${STAGES} }`,
  });
  const script = page.locator("[name=script]");
  const whole = page.getByLabel("The script says everything");
  const save = page.getByRole("button", { name: "Save as a new version" });
  await page.goto(`/pipelines/${id}/edit`);
  const written = (await script.inputValue()).replace("before", "after");
  await script.fill(written);
  await save.click();
  await page.getByRole("heading", { level: 1, name: "after" }).waitFor();
  await page.getByRole("link", { name: "Edit" }).click();
  await script.fill(written.replace("end", ""));
  assert.ok(await whole.isChecked());
  await save.click();
  await page.getByRole("alert").waitFor();
  await whole.uncheck();
  await save.click();
  await page.getByRole("alert").getByText("Saving it again saves it all the same").waitFor();
  assert.equal((await on.api.get(`/api/pipeline/${id}`)).version, 2);
  await script.fill(written.replace("after", "at last"));
  await save.click();
  await page.waitForURL(`**/pipelines/${id}`);
  assert.deepEqual(Object.keys((await on.api.get(`/api/pipeline/${id}`)).inputs), ["who"]);
  await page.goto(`/pipelines/${id}/edit`);
  await script.fill("-- for another kind of runner");
  await page.getByText("What is said below wins over the script").waitFor();
  await save.click();
  await page.getByRole("alert").waitFor();
  await save.click();
  await page.getByText("This pipeline declares no inputs").waitFor();
  await page.context().close();
});

test("a launch whose answer was lost is sent again without launching twice, and large numbers keep their digits", async () => {
  const { page } = await on.open();
  await page.goto(`/pipelines/${on.sample.numbers.id}`);
  await page.locator("[name='input:id']").fill(HUGE);
  await page.getByText("More", { exact: true }).click();
  await page.getByLabel("Further parameters").fill(`{"parent": ${HUGE}}`);
  let isLost = false;
  await page.route("**/api/pipeline/launch", async (route) => {
    if (isLost) return route.continue();
    isLost = true;
    await route.fetch();
    return route.abort("connectionreset");
  });
  await page.getByRole("button", { name: "Launch" }).click();
  await page.getByRole("alert").waitFor();
  await page.getByRole("button", { name: "Launch" }).click();
  await page.waitForURL(/\/jobs\/[\da-f-]{36}$/);
  const shown = JSON.stringify({ "build id": 0, id: 0, parent: 0 }, null, 2).replaceAll("0", HUGE);
  await page.getByRole("region", { name: "Values of the parameters" }).getByText(shown).waitFor();
  const jobs = await (await fetch(`${on.server.address}/api/jobs/pipeline/${on.sample.numbers.id}`)).text();
  assert.deepEqual(jobs.match(/"parameters":\{[^}]*\}/g), [`"parameters":{"build id":${HUGE},"id":${HUGE},"parent":${HUGE}}`]);
  await page.context().close();
});

test("a text that was removed is launched as an empty one, and what was left as it was is the default", async () => {
  const { page } = await on.open();
  const inputs = `first = { type = 'string', default = 'one', required = true }, second = { type = 'string', default = 'two' },
    third = { type = 'number', default = 3 }, fourth = { type = 'string' }`;
  const { id } = await on.api.createPipeline({ script: `return { name = 'texts', inputs = { ${inputs} }, ${STAGES} }` });
  await page.goto(`/pipelines/${id}`);
  await page.getByText("required", { exact: true }).waitFor();
  await page.locator("[name='input:first']").fill("");
  await page.locator("[name='input:third']").fill("");
  await page.getByText("A number. Empty: the default, 3.").waitFor();
  await page.getByRole("button", { name: "Launch" }).click();
  await page.waitForURL(/\/jobs\/[\da-f-]{36}$/);
  const job = await on.api.get(`/api/jobs/${page.url().split("/").pop()}`);
  assert.deepEqual(job.parameters, { first: "", second: "two", third: 3 });
  await page.context().close();
});

test("what is refused is said at the input that it is about", async () => {
  const { page } = await on.open();
  await page.goto(`/pipelines/${on.sample.numbers.id}`);
  await page.locator("[name='input:id']").fill("1");
  await page.route("**/api/pipeline/launch", (route) =>
    route.fulfill({ status: 422, json: { detail: 'input `build id` must be a number, not "x"', code: "invalid_parameters" } }),
  );
  await page.getByRole("button", { name: "Launch" }).click();
  await page.getByRole("alert").waitFor();
  const wrong = page.locator("[aria-invalid=true]");
  assert.equal(await wrong.getAttribute("name"), "input:build id");
  const hint = await wrong.getAttribute("aria-describedby");
  assert.match(await page.locator(`[id="${hint}"]`).innerText(), /number/);
  await page.context().close();
});

test("what is typed for a launch stays while somebody saves a version, but for an input that it changes, which is said", async () => {
  const { page } = await on.open();
  const script = `return { name = 'saved', inputs = { kept = { type = 'string' }, other = { type = 'string' } }, ${STAGES} }`;
  const { id } = await on.api.createPipeline({ script });
  await page.goto(`/pipelines/${id}`);
  const [kept, other] = [page.locator("[name='input:kept']"), page.locator("[name='input:other']")];
  await kept.fill("one");
  await other.fill("two");
  await on.api.send("PUT", `/api/pipeline/${id}`, { script: `-- changed\n${script}` });
  await page.locator(".source-of").getByText("version 2,").waitFor();
  assert.deepEqual([await kept.inputValue(), await other.inputValue()], ["one", "two"]);
  const changed = script.replace("other = { type = 'string' }", "other = { type = 'number', default = 3 }");
  await on.api.send("PUT", `/api/pipeline/${id}`, { script: changed });
  await page.getByText("Version 3 has other inputs than those that you began with.").waitFor();
  assert.deepEqual([await kept.inputValue(), await other.inputValue()], ["one", "3"]);
  await page.context().close();
});
