/** One job: all there is to know of it, on one page. */

import { useEffect, useRef, useState } from "preact/hooks";

import { useJob, useJobHistory } from "../api/resources.js";
import { shortId } from "../format.js";
import { actorOf, whyRequeued } from "../events/describe.js";
import { html } from "../html.js";
import { JobActions } from "../jobs/actions.js";
import { Cause } from "../jobs/cause.js";
import { History } from "../jobs/history.js";
import { Timeline } from "../jobs/timeline.js";
import { WhyWaiting } from "../jobs/waiting.js";
import { LogPane } from "../log/log-pane.js";
import { usePipelineName } from "../pipelines/names.js";
import { announce } from "../ui/announce.js";
import { Ago, Fact, JobLink, Json, PageHeading, RunnerLink, Section, Status, Took } from "../ui/parts.js";
import { Shown } from "../ui/states.js";

/** @typedef {import("../api/types.js").Job} Job */
/** @typedef {import("../api/types.js").HistoryEvent} HistoryEvent */
/** @typedef {import("../api/types.js").JobHistory} JobHistory */

/** How often a waiting job is asked for: what it waits for is no event of its own. */
const WAITING_MS = 5_000;

/** @param {{ id: string }} props */
export function JobPage({ id }) {
  const [isPolled, setPolled] = useState(false);
  const job = useJob(id, isPolled ? WAITING_MS : undefined);
  const isWaiting = job.data?.status === "Queued";
  if (isWaiting !== isPolled) setPolled(isWaiting);
  const history = useJobHistory(id);
  useAnnouncedStatus(job.data?.status);

  return html`<${PageHeading} title=${`Job …${shortId(id)}`}>
      ${job.data && html`<${JobActions} job=${job.data} onChange=${job.reload} />`}
    <//>
    <${Shown} of=${job} what="job" id=${id} rows=${4}>${(/** @type {Job} */ shown) => html`<${Facts} job=${shown} events=${history.data?.events ?? []} />`}<//>
    ${
      job.data &&
      html`<${Section} id="timeline" title="Timeline">
          <${Shown} of=${history} what="history" rows=${2}>${(/** @type {JobHistory} */ { events }) => html`<${Timeline} events=${events} />`}<//>
        <//>
        <${Section} id="log" title="Log">
          <${LogPane} key=${id} jobId=${id} startsAtEnd=${job.data.status !== "Succeeded"} hasEnded=${job.data.phase === "ended"} />
        <//>
        <${Result} job=${job.data} events=${history.data?.events ?? []} />
        <${Section} id="history" title="History">
          <${Shown} of=${history} what="history">${(/** @type {JobHistory} */ { events }) => html`<${History} events=${events} />`}<//>
        <//>`
    }`;
}

/** @param {{ job: Job, events: HistoryEvent[] }} props */
function Facts({ job, events }) {
  const name = usePipelineName(job.pipeline_id);
  const pipeline = `/pipelines/${job.pipeline_id}`;
  return html`${job.waiting && html`<${WhyWaiting} waiting=${job.waiting} />`}
    <dl class="facts">
      <${Fact} name="Status">
        <${Status} status=${job.status} phase=${job.phase} /> <${Cause} job=${job} />
      <//>
      <${Fact} name="Pipeline">
        <a href=${pipeline}>${name}</a>, <a href=${`${pipeline}?version=${job.pipeline_version}`}>version ${job.pipeline_version}</a>
      <//>
      ${job.status === "Cancelled" && html`<${Cancelled} events=${events} />`}
      <${Fact} name="Requested"><${Ago} time=${job.requested_at} /><//>
      <${Fact} name="Took"><${Took} from=${job.started_at} to=${job.completed_at} /><//>
      <${Fact} name="Runner">
        ${job.runner_id ? html`<${RunnerLink} id=${job.runner_id} />` : html`<span class="quiet">none</span>`}
      <//>
      <${Fact} name="Attempt">${job.attempt || html`<span class="quiet">not yet</span>`}<//>
      <${Fact} name="Priority">${job.priority}<//>
      ${job.retry_of && html`<${Fact} name="Retry of"><${JobLink} id=${job.retry_of} /><//>`}
      <${Fact} name="Id"><code>${job.id}</code><//>
    </dl>`;
}

/**
 * Who wanted a cancelled job to end: of a running one that is somebody else than who reports its end.
 * @param {{ events: HistoryEvent[] }} props
 */
function Cancelled({ events }) {
  const wish = events.find(({ type }) => type === "job.cancel_requested") ?? events.find(({ type }) => type === "job.cancelled");
  if (!wish) return null;
  return html`<${Fact} name="Cancelled by">${actorOf(wish)}, <${Ago} time=${wish.recorded_at} /><//>`;
}

/** @param {{ job: Job, events: HistoryEvent[] }} props */
function Result({ job, events }) {
  const { result, parameters } = job;
  const requeued = events.findLast(({ type }) => type === "job.requeued");
  const hasParameters = Object.keys(parameters).length > 0;
  return html`<div class="columns">
    <${Section} id="parameters" title="Parameters">
      ${hasParameters ? html`<${Json} value=${parameters} label="Values of the parameters" />` : html`<p class="quiet">None.</p>`}
    <//>
    <${Section} id="result" title="Result">
      ${
        result
          ? html`<p>Exit code <strong>${result.exit_code}</strong></p>
              ${result.error_message && html`<div class="error-text"><${Json} value=${result.error_message} label="Error message" /></div>`}
              ${result.output !== undefined && result.output !== null && html`<${Json} value=${result.output} label="Output" />`}`
          : html`<p class="quiet">
                ${job.phase === "ended" ? "It ended without one." : "There will be one when it has ended."}
              </p>
              ${
                requeued &&
                html`<div class="error-text">
                  <${Json} value=${whyRequeued(requeued.payload)} label="How the last attempt before ended" />
                </div>`
              }`
      }
    <//>
  </div>`;
}

/** Says a change of the status, but not the first one. @param {string | undefined} status */
function useAnnouncedStatus(status) {
  const before = useRef(/** @type {string | undefined} */ (undefined));
  useEffect(() => {
    if (before.current && status && before.current !== status) announce(`The job is now ${status}.`);
    before.current = status;
  }, [status]);
}
