/** Jobs in a table. */

import { html } from "../html.js";
import { useSteady } from "../live/use-steady.js";
import { Ago, Cell, JobLink, RunnerLink, Status, Table, Took } from "../ui/parts.js";
import { Cause } from "./cause.js";

/** @typedef {import("../api/types.js").Job} Job */

/**
 * @param {{ jobs: Job[], nameOf?: (pipelineId: string) => string, caption: string }} props of pipelines; where all jobs
 *   are of one, it need not be named
 */
export function JobTable({ jobs, nameOf, caption }) {
  const { steady, over } = useSteady(jobs);
  const columns = ["Job", "Status", ...(nameOf ? ["Pipeline"] : []), "Requested", "Took", "Runner"];
  return html`<div ...${over}>
    <${Table} caption=${caption} columns=${columns}>
      ${steady.map((job) => html`<${Row} key=${job.id} job=${job} name=${nameOf?.(job.pipeline_id)} />`)}
    <//>
  </div>`;
}

/** @param {{ job: Job, name: string | undefined }} props */
function Row({ job, name }) {
  return html`<tr>
    <${Cell} of="Job"><${JobLink} id=${job.id} /><//>
    <${Cell} of="Status">
      <${Status} status=${job.status} phase=${job.phase} />
      ${job.attempt > 1 && html`<span class="quiet"> in attempt ${job.attempt}</span>`}
      <${Cause} job=${job} />
    <//>
    ${
      name !== undefined &&
      html`<${Cell} of="Pipeline"><a class="clamped" href=${`/pipelines/${job.pipeline_id}`}>${name}</a><//>`
    }
    <${Cell} of="Requested"><${Ago} time=${job.requested_at} /><//>
    <${Cell} of="Took"><${Took} from=${job.started_at} to=${job.completed_at} /><//>
    <${Cell} of="Runner">${job.runner_id ? html`<${RunnerLink} id=${job.runner_id} />` : html`<span class="quiet none">–</span>`}<//>
  </tr>`;
}
