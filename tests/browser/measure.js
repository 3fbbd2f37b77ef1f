/**
 * Measures the dashboard: what the first visit costs, and what many open dashboards cost the server. Prints one figure
 * per line. RIVET_PROGRAM names the program, which should be a release build.
 */

import { readFileSync } from "node:fs";
import { request } from "node:http";
import { setTimeout as pause } from "node:timers/promises";

import { launchBrowser, open } from "./support/browser.js";
import { fill } from "./support/sample.js";
import { Server } from "./support/server.js";

const DASHBOARDS = 100;
/** Jobs launched and cancelled each second while the dashboards are open: two events each. */
const JOBS_PER_SECOND = 10;
const SECONDS = 20;
/** Clock ticks per second in /proc. */
const TICKS = 100;
/** What an open overview requests after an event, at most once a second. */
const REFETCHED = ["/api/stats", "/api/jobs?status=Failed,TimedOut&limit=5"];

const server = await Server.start();
try {
  const sample = await fill(server);
  await measureFirstVisit();
  await measureDashboards(sample.needy.id);
} finally {
  await server.stop();
}

/** Bytes and requests of the overview and of a job, with an empty cache and with a full one. */
async function measureFirstVisit() {
  const browser = await launchBrowser();
  for (const path of ["/", "/jobs", "/events"]) {
    const { page } = await open(browser, server.address);
    const session = await page.context().newCDPSession(page);
    await session.send("Network.enable");
    for (const visit of ["first", "second"]) {
      let [requests, bytes] = [0, 0];
      const count = (/** @type {{ encodedDataLength: number }} */ { encodedDataLength }) => {
        requests += 1;
        bytes += encodedDataLength;
      };
      session.on("Network.loadingFinished", count);
      const begin = performance.now();
      await page.goto(path);
      await page.getByRole("heading", { level: 1 }).waitFor();
      const shown = Math.round(performance.now() - begin);
      await page.getByText("Live", { exact: true }).waitFor();
      await pause(1_500);
      session.off("Network.loadingFinished", count);
      console.log(`${path}, ${visit} visit: ${requests} requests, ${Math.round(bytes / 1_024)} KiB, heading after ${shown} ms`);
    }
    await page.context().close();
  }
  await browser.close();
}

/**
 * What open overviews cost: each holds a stream, and refetches at most once a second when something happens. They
 * are simulated by plain requests, since that many browsers would use up the machine.
 * @param {string} pipelineId
 */
async function measureDashboards(pipelineId) {
  const idle = await cpuOver(SECONDS, async () => pause(SECONDS * 1_000));
  const alone = await cpuOver(SECONDS, () => traffic(pipelineId));
  const dashboards = Array.from({ length: DASHBOARDS }, openDashboard);
  await pause(1_000);
  const watched = await cpuOver(SECONDS, async () => pause(SECONDS * 1_000));
  const busy = await cpuOver(SECONDS, () => traffic(pipelineId));
  const asked = dashboards.reduce((sum, dashboard) => sum + dashboard.asked(), 0);
  dashboards.forEach((dashboard) => dashboard.close());
  console.log(`server alone, nothing happens: ${idle}% of a core`);
  console.log(`server alone, ${JOBS_PER_SECOND} jobs/s: ${alone}% of a core`);
  console.log(`${DASHBOARDS} dashboards, nothing happens: ${watched}% of a core`);
  console.log(`${DASHBOARDS} dashboards, ${JOBS_PER_SECOND} jobs/s: ${busy}% of a core, ${asked} refetches in ${SECONDS} s`);
}

/** @param {string} pipelineId */
async function traffic(pipelineId) {
  for (const end = Date.now() + SECONDS * 1_000; Date.now() < end; await pause(1_000 / JOBS_PER_SECOND)) {
    const job = await server.api.launch(pipelineId);
    await server.api.send("POST", `/api/jobs/${job.id}/cancel`, {});
  }
}

/** A stream of events, and the refetches that follow from it, coalesced as the page does. */
function openDashboard() {
  let [asked, isWanted] = [0, false];
  const stream = request(`${server.address}/api/events/stream?type=job.launched,job.cancelled,job.completed`, (response) => {
    response.on("data", (/** @type {Buffer} */ data) => (isWanted ||= data.includes("data:")));
  });
  stream.on("error", () => {});
  stream.end();
  const timer = setInterval(async () => {
    if (!isWanted) return;
    isWanted = false;
    asked += REFETCHED.length;
    await Promise.all(REFETCHED.map((path) => fetch(server.address + path).then((response) => response.text())));
  }, 1_000);
  return {
    asked: () => asked,
    close() {
      clearInterval(timer);
      stream.destroy();
    },
  };
}

/**
 * @param {number} seconds
 * @param {() => Promise<unknown>} work that takes this long
 * @returns {Promise<string>} percent of a core that the server took
 */
async function cpuOver(seconds, work) {
  const before = ticks();
  await work();
  return ((100 * (ticks() - before)) / TICKS / seconds).toFixed(1);
}

/** Processor time of the server so far, in clock ticks. */
function ticks() {
  const fields = readFileSync(`/proc/${server.process.pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return Number(fields[11]) + Number(fields[12]);
}
