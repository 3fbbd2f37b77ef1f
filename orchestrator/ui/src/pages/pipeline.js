/** One pipeline: launching it, its source and versions, its jobs. */

import { useState } from "preact/hooks";

import { query as queryOf, send } from "../api/client.js";
import { html } from "../html.js";
import { JobTable } from "../jobs/job-table.js";
import { useResource } from "../live/use-resource.js";
import { LaunchForm } from "../pipelines/launch-form.js";
import { Versions } from "../pipelines/versions.js";
import { navigate } from "../router.js";
import { announce } from "../ui/announce.js";
import { Confirm } from "../ui/confirm.js";
import { Ago, PageHeading, Section } from "../ui/parts.js";
import { Empty, Shown } from "../ui/states.js";

/** @typedef {import("../api/types.js").Pipeline} Pipeline */
/** @typedef {import("../api/types.js").Job} Job */

const RECENT = 10;

/** @param {{ id: string }} props */
export function PipelinePage({ id }) {
  const path = `/api/pipeline/${encodeURIComponent(id)}`;
  const pipeline = /** @type {import("../live/use-resource.js").Resource<Pipeline>} */ (
    useResource(path, { on: (event) => event.stream_id === id })
  );
  const [isDeleting, setDeleting] = useState(false);
  return html`<${PageHeading} title=${pipeline.data?.name ?? "Pipeline"}>
      ${
        pipeline.data &&
        html`<a class="button" href=${`/pipelines/${id}/edit`}>Edit</a>
          <button
            type="button"
            class="danger"
            onClick=${() => setDeleting(true)}
          >
            Delete…
          </button>`
      }
    <//>
    <${Shown} of=${pipeline} what="pipeline" rows=${10}>
      ${(/** @type {Pipeline} */ shown) =>
        html`<${Facts} pipeline=${shown} />
          <${Section} id="launch" title="Launch"
            ><${LaunchForm} key=${shown.version} pipeline=${shown}
          /><//>
          <${Versions} pipeline=${shown} onChange=${pipeline.reload} />`}
    <//>
    <${RecentJobs} id=${id} name=${pipeline.data?.name} />
    ${isDeleting && pipeline.data && html`<${DeleteDialog} pipeline=${pipeline.data} onClose=${() => setDeleting(false)} />`}`;
}

/** @param {{ pipeline: Pipeline }} props */
function Facts({ pipeline }) {
  const { config, demands, tags } = pipeline;
  const settings = Object.entries(config).filter(([name, value]) => name !== "env_vars" && value !== null && value !== undefined);
  const environment = Object.entries(config.env_vars ?? {});
  const tagged = tags.map((tag) => (typeof tag === "string" ? tag : `${tag.key}=${tag.value}`));
  return html`${pipeline.description && html`<p class="lead">${pipeline.description}</p>`}
    <dl class="facts facts-wide">
      <dt>Version</dt>
      <dd>${pipeline.version}</dd>
      <dt>Changed</dt>
      <dd><${Ago} time=${pipeline.updated_at} /></dd>
      <dt>Needs</dt>
      <dd>
        ${demands.length > 0 ? demands.map((name) => html`<code key=${name} class="tag">${name}</code> `) : html`<span class="quiet">nothing: any runner</span>`}
      </dd>
      ${
        tagged.length > 0 &&
        html`<dt>Tags</dt>
          <dd>
            ${tagged.map((tag) => html`<span key=${tag} class="tag">${tag}</span> `)}
          </dd>`
      }
      ${settings.map(
        ([name, value]) =>
          html`<dt key=${name}>${name.replaceAll("_", " ")}</dt>
            <dd key=${`${name}-value`}>${String(value)}</dd>`,
      )}
      ${
        environment.length > 0 &&
        html`<dt>Environment</dt>
          <dd>
            ${environment.map(([name, value]) => html`<code key=${name} class="tag">${name}=${value}</code> `)}
          </dd>`
      }
      <dt>Id</dt>
      <dd><code>${pipeline.id}</code></dd>
    </dl>`;
}

/** @param {{ id: string, name: string | undefined }} props */
function RecentJobs({ id, name }) {
  const jobs = /** @type {import("../live/use-resource.js").Resource<Job[]>} */ (
    useResource(`/api/jobs/pipeline/${encodeURIComponent(id)}${queryOf({ limit: RECENT })}`, {
      on: (event) => event.stream_type === "job" && event.payload.pipeline_id === id,
    })
  );
  if (jobs.error?.status === 404) return null;
  return html`<${Section}
    id="jobs"
    title="Recent jobs"
    actions=${html`<a href=${`/jobs?pipeline_id=${id}`}>All its jobs</a>`}
  >
    <${Shown} of=${jobs} what="list of jobs">
      ${(/** @type {Job[]} */ shown) =>
        shown.length > 0
          ? html`<${JobTable}
              jobs=${shown}
              nameOf=${() => name ?? id}
              caption="The last jobs of this pipeline"
            />`
          : html`<${Empty} title="It has not run yet"
              ><p>Launch it above.</p><//
            >`}
    <//>
  <//>`;
}

/** @param {{ pipeline: Pipeline, onClose: () => void }} props */
function DeleteDialog({ pipeline, onClose }) {
  async function remove() {
    await send("DELETE", `/api/pipeline/${pipeline.id}`);
    announce("The pipeline is deleted.");
    navigate("/pipelines");
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
