/** Fills a store so that every page has something to show. */

import { readFileSync } from "node:fs";
import { resolve } from "node:path";

import { eventually } from "./eventually.js";

const EXAMPLES = resolve(import.meta.dirname, "../../../examples");
const ESCAPE = "\u001b";

/** Log lines with terminal colours. */
const COLOURED = [
  `${ESCAPE}[32m✓ ok${ESCAPE}[0m  3 tests`,
  `${ESCAPE}[1;31merror:${ESCAPE}[0m something ${ESCAPE}[4munderlined${ESCAPE}[0m ${ESCAPE}[38;2;200;100;0mtruecolor${ESCAPE}[0m ${ESCAPE}[38;5;226;48;5;21mpalette${ESCAPE}[0m`,
  `${ESCAPE}[33mmany\nlines\nin yellow${ESCAPE}[0m, then not`,
  `see ${ESCAPE}]8;;https://example.com/report${ESCAPE}\\the report${ESCAPE}]8;;${ESCAPE}\\`,
  "progress 1%\rprogress 50%\rprogress 100%",
];

/** @param {string} name of an example */
export function example(name) {
  return readFileSync(resolve(EXAMPLES, `${name}.lua`), "utf8");
}

/**
 * Pipelines in versions, runners, and jobs in every state.
 * @param {import("./server.js").Server} server
 */
export async function fill(server) {
  const { api } = server;
  const hello = await api.createPipeline({ script: example("hello") });
  const revised = example("hello").replace("Hello from Rivet", "Hello again from Rivet");
  await api.send("PUT", `/api/pipeline/${hello.id}`, { script: revised });
  const greeting = await api.createPipeline({ script: example("inputs_and_conditions") });
  const fails = await api.createPipeline({ script: example("fails") });
  const needy = await api.createPipeline({
    name: "deploy",
    script: "-- for a machine that is not there",
    description: "Needs a special machine",
    required_modules: ["gpu"],
    tags: ["nightly"],
    config: { timeout_seconds: 60, env_vars: { STAGE: "production" } },
  });
  const byHand = await api.createPipeline({
    name: "by hand",
    script: "--",
    required_modules: ["hand"],
    config: { max_retries: 2 },
  });
  server.startRunner("build-1", ["--parallel", "2"]);
  await api.send("POST", "/api/runners/register", { runner_id: "hand", capabilities: ["hand"] });

  const succeeded = await api.launch(greeting.id, { who: "Ada" });
  const failed = await api.launch(fails.id);
  const waiting = await api.launch(needy.id);
  const cancelled = await api.launch(needy.id);
  await api.send("POST", `/api/jobs/${cancelled.id}/cancel`, { reason: "wrong branch" });
  const coloured = await api.launch(byHand.id, { branch: "main" });
  await api.claim(coloured.id, "hand");
  await api.log(coloured.id, COLOURED);
  await api.log(coloured.id, ["this is a warning"], "Warning");
  await api.log(coloured.id, ["this is an error"], "Error");
  for (const job of [succeeded, failed]) await eventually(async () => (await api.get(`/api/jobs/${job.id}`)).phase === "ended");
  return { hello, greeting, needy, succeeded, failed, waiting, cancelled, coloured };
}

/**
 * Every page of a filled store.
 * @param {Awaited<ReturnType<typeof fill>>} sample
 * @returns {Record<string, { path: string, heading: RegExp, shows: string }>}
 */
export function pagesOf({ hello, greeting, needy, succeeded, failed, waiting, cancelled, coloured }) {
  return {
    overview: { path: "/", heading: /^Overview$/, shows: "Queued" },
    jobs: { path: "/jobs", heading: /^Jobs$/, shows: "Succeeded" },
    "jobs of a kind": { path: "/jobs?status=Failed", heading: /^Jobs$/, shows: "fails" },
    "a job that succeeded": { path: `/jobs/${succeeded.id}`, heading: /^Job …/, shows: "Succeeded in attempt 1" },
    "a job that failed": { path: `/jobs/${failed.id}`, heading: /^Job …/, shows: "Failed in attempt 1" },
    "a job that waits": { path: `/jobs/${waiting.id}`, heading: /^Job …/, shows: "Why is it waiting?" },
    "a job that was cancelled": { path: `/jobs/${cancelled.id}`, heading: /^Job …/, shows: "wrong branch" },
    "a job that runs": { path: `/jobs/${coloured.id}`, heading: /^Job …/, shows: "the report" },
    pipelines: { path: "/pipelines", heading: /^Pipelines$/, shows: "deploy" },
    "a pipeline": { path: `/pipelines/${greeting.id}`, heading: /^inputs and conditions$/, shows: "Whom to greet" },
    "two versions": { path: `/pipelines/${hello.id}?from=1`, heading: /^hello$/, shows: "Hello again from Rivet" },
    "a new pipeline": { path: "/pipelines/new", heading: /^New pipeline$/, shows: "The script says everything" },
    "a changed pipeline": { path: `/pipelines/${needy.id}/edit`, heading: /^Edit deploy$/, shows: "Retries after a failure" },
    runners: { path: "/runners", heading: /^Runners$/, shows: "build-1" },
    events: { path: "/events", heading: /^Events$/, shows: "job.completed" },
    projections: { path: "/projections", heading: /^Projections$/, shows: "job queue" },
  };
}
