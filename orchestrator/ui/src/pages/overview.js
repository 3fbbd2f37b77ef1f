/** How things stand: the queue, the runners, what failed, and how far the read models are behind. */

import { useJobs, useProjections, useStats, useStatsHistory } from "../api/resources.js";
import { counted, formatCount, formatDuration } from "../format.js";
import { html } from "../html.js";
import { JobTable } from "../jobs/job-table.js";
import { Flow } from "../overview/flow.js";
import { Tile } from "../overview/tile.js";
import { StartRunner } from "../runners/start-runner.js";
import { PageHeading, Section } from "../ui/parts.js";
import { Empty, Shown } from "../ui/states.js";

/** @typedef {import("../api/types.js").Stats} Stats */
/** @typedef {import("../api/types.js").StatsPoint} StatsPoint */
/** @typedef {import("../api/types.js").Projection} Projection */
/** @typedef {import("../api/types.js").Job} Job */

/** For what changes by the clock alone: ages, minutes, lag. */
const CLOCK_MS = 15_000;
const MINUTES = 60;
const RECENT_FAILURES = { status: "Failed,TimedOut", limit: 5 };

const always = () => true;
const isEnd = (/** @type {import("../api/types.js").EventBody} */ { type }) =>
  type === "job.completed" || type === "job.timed_out";

export function Overview() {
  const stats = useStats({ on: always, everyMs: CLOCK_MS });
  const flow = useStatsHistory(MINUTES, { everyMs: CLOCK_MS });
  const projections = useProjections({ everyMs: CLOCK_MS });
  const failures = useJobs(RECENT_FAILURES, { on: isEnd });
  const names = new Map(stats.data?.by_pipeline.map(({ pipeline_id, name }) => [pipeline_id, name]));

  return html`<${PageHeading} title="Overview" />
    <${Shown} of=${stats} what="overview" rows=${3}>
      ${(/** @type {Stats} */ shown) =>
        html`<${Tiles} stats=${shown} flow=${flow.data} projections=${projections.data} />
          <${FirstSteps} stats=${shown} />`}
    <//>
    <${Section} id="flow" title="The last hour">
      <${Shown} of=${flow} what="history of the queue" rows=${8}>${(/** @type {StatsPoint[]} */ points) => html`<${Flow} points=${points} />`}<//>
    <//>
    <${Section} id="failures" title="Last failures" actions=${html`<a href="/jobs?status=Failed,TimedOut">All failures</a>`}>
      <${Shown} of=${failures} what="list of failures">
        ${(/** @type {Job[]} */ jobs) =>
          jobs.length > 0
            ? html`<${JobTable}
                jobs=${jobs}
                nameOf=${(/** @type {string} */ id) => names.get(id) ?? id.slice(-8)}
                caption="The last jobs that failed or took too long"
              />`
            : html`<${Empty} title="Nothing has failed" />`}
      <//>
    <//>`;
}

/** @param {{ stats: Stats, flow: StatsPoint[] | undefined, projections: Projection[] | undefined }} props */
function Tiles({ stats, flow, projections }) {
  const { queued, running, oldest_waiting_seconds: oldest, runners } = stats;
  const failed = flow?.reduce((sum, point) => sum + point.failed + point.timed_out, 0);
  const ended = flow?.reduce((sum, point) => sum + point.succeeded, failed ?? 0);
  const live = projections?.filter(({ state }) => state === "live");
  const lag = live && Math.max(0, ...live.map(({ lag_events: events }) => events));
  const behind = lag === undefined ? "…" : counted(lag, "event");
  const parked = projections?.reduce((sum, projection) => sum + projection.parked, 0);
  const canRun = runners.online + runners.busy;
  return html`<ul class="tiles" aria-label="How things stand">
    <${Tile}
      href="/jobs?status=Queued"
      label="Queued"
      value=${formatCount(queued)}
      note=${oldest > 0 ? `oldest ${formatDuration(oldest)}` : "nothing waits"}
    />
    <${Tile}
      href="/jobs?status=Running"
      label="Running"
      value=${formatCount(running)}
      note=${`on ${counted(runners.busy, "runner")}`}
    />
    <${Tile}
      href="/jobs?status=Failed,TimedOut"
      label="Failed in an hour"
      value=${failed === undefined ? "…" : formatCount(failed)}
      tone=${failed ? "bad" : "good"}
      note=${ended ? `of ${formatCount(ended)} that ran` : flow ? "none ran" : "…"}
    />
    <${Tile}
      href="/runners"
      label="Runners"
      value=${formatCount(canRun)}
      tone=${canRun === 0 && queued > 0 ? "bad" : undefined}
      note=${`${formatCount(runners.online)} idle, ${formatCount(runners.offline)} offline`}
    />
    <${Tile}
      href="/projections"
      label=${parked ? "Streams parked" : "Read models behind"}
      value=${parked ? formatCount(parked) : behind}
      tone=${parked ? "bad" : undefined}
      note=${parked ? `read models ${behind} behind` : "nothing parked"}
    />
  </ul>`;
}

/** @param {{ stats: Stats }} props */
function FirstSteps({ stats }) {
  const { runners, by_pipeline: pipelines } = stats;
  if (pipelines.length === 0) {
    return html`<${Empty} title="There is no pipeline yet"><p>
        <a class="button primary" href="/pipelines/new">Create the first one</a>
      </p><//>`;
  }
  if (runners.online + runners.busy > 0) return null;
  return html`<${Empty} title="No runner is online, so nothing runs">
    <${StartRunner} />
  <//>`;
}
