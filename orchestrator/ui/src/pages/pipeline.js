/** One pipeline: launching it, its source and versions, its jobs. */

import { useState } from "preact/hooks";

import { send } from "../api/client.js";
import { useJobsOfPipeline, usePipeline } from "../api/resources.js";
import { capitalized, formatDuration } from "../format.js";
import { html } from "../html.js";
import { JobTable } from "../jobs/job-table.js";
import { LaunchForm } from "../pipelines/launch-form.js";
import { Versions } from "../pipelines/versions.js";
import { announce } from "../ui/announce.js";
import { Confirm } from "../ui/confirm.js";
import { Ago, Fact, PageHeading, Section } from "../ui/parts.js";
import { Empty, Shown } from "../ui/states.js";
import { Tags } from "../ui/tags.js";

/** @typedef {import("../api/types.js").Pipeline} Pipeline */
/** @typedef {import("../api/types.js").Job} Job */

const RECENT = 10;

/** @param {{ id: string }} props */
export function PipelinePage({ id }) {
  const pipeline = usePipeline(id);
  const [isDeleting, setDeleting] = useState(false);
  return html`<${PageHeading} title=${pipeline.data?.name ?? "Pipeline"}>
      ${
        pipeline.data &&
        html`<a class="button" href=${`/pipelines/${id}/edit`}>Edit</a>
          <button type="button" class="danger" onClick=${() => setDeleting(true)}>
            Delete…
          </button>`
      }
    <//>
    <${Shown} of=${pipeline} what="pipeline" id=${id} rows=${10}>
      ${(/** @type {Pipeline} */ shown) =>
        html`<${Facts} pipeline=${shown} />
          <${Section} id="launch" title="Launch"><${LaunchForm} pipeline=${shown} /><//>
          <${Versions} pipeline=${shown} onChange=${pipeline.reload} />`}
    <//>
    <${RecentJobs} id=${id} />
    ${isDeleting && pipeline.data && html`<${DeleteDialog} pipeline=${pipeline.data} onClose=${() => setDeleting(false)} />`}`;
}

/** @param {{ pipeline: Pipeline }} props */
function Facts({ pipeline }) {
  const { config, demands, tags } = pipeline;
  const { timeout_seconds: timeout, env_vars: variables, ...others } = config;
  const settings = Object.entries(others).filter(([, value]) => value !== null && value !== undefined);
  const environment = Object.entries(variables ?? {}).map(([name, value]) => `${name}=${value}`);
  const tagged = tags.map((tag) => (typeof tag === "string" ? tag : `${tag.key}=${tag.value}`));
  return html`${pipeline.description && html`<p class="lead">${pipeline.description}</p>`}
    <dl class="facts">
      <${Fact} name="Version">${pipeline.version}<//>
      <${Fact} name="Changed"><${Ago} time=${pipeline.updated_at} /><//>
      <${Fact} name="Needs">
        ${demands.length > 0 ? html`<${Tags} texts=${demands} />` : html`<span class="quiet">nothing: any runner</span>`}
      <//>
      ${tagged.length > 0 && html`<${Fact} name="Tags"><${Tags} texts=${tagged} /><//>`}
      ${timeout && html`<${Fact} name="Timeout">${formatDuration(timeout)}<//>`}
      ${settings.map(([name, value]) => html`<${Fact} key=${name} name=${capitalized(name)}>${String(value)}<//>`)}
      ${environment.length > 0 && html`<${Fact} name="Environment"><${Tags} texts=${environment} /><//>`}
      <${Fact} name="Id"><code>${pipeline.id}</code><//>
    </dl>`;
}

/** @param {{ id: string }} props */
function RecentJobs({ id }) {
  const jobs = useJobsOfPipeline(id, RECENT);
  if (jobs.error?.isMissing) return null;
  return html`<${Section} id="jobs" title="Recent jobs" actions=${html`<a href=${`/jobs?pipeline_id=${id}`}>All its jobs</a>`}>
    <${Shown} of=${jobs} what="list of jobs">
      ${(/** @type {Job[]} */ shown) =>
        shown.length > 0
          ? html`<${JobTable} jobs=${shown} caption="The last jobs of this pipeline" />`
          : html`<${Empty} title="It has not run yet"><p>Launch it above.</p><//>`}
    <//>
  <//>`;
}

/** @param {{ pipeline: Pipeline, onClose: () => void }} props */
function DeleteDialog({ pipeline, onClose }) {
  async function remove() {
    await send("DELETE", `/api/pipeline/${pipeline.id}`);
    announce("The pipeline is deleted.");
    return "/pipelines";
  }
  return html`<${Confirm}
    title=${`Delete ${pipeline.name}?`}
    action="Delete the pipeline"
    isDangerous
    onConfirm=${remove}
    onClose=${onClose}
  >
    <p>
      Its waiting jobs are cancelled, running ones go on, and its history stays
      readable.
    </p>
  <//>`;
}
