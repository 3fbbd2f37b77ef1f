/** The list of pipelines. */

import { isOfJobs, usePipelines, useStats } from "../api/resources.js";
import { formatCount } from "../format.js";
import { html } from "../html.js";
import { setQuery, useLocation } from "../router.js";
import { Ago, Cell, PageHeading, Table } from "../ui/parts.js";
import { Empty, Rest, Shown } from "../ui/states.js";

/** @typedef {import("../api/types.js").Pipeline} Pipeline */
/** @typedef {import("../api/types.js").PipelineStats} PipelineStats */

export function Pipelines() {
  const { query } = useLocation();
  const pipelines = usePipelines();
  const stats = useStats({ on: isOfJobs });
  const figures = new Map(stats.data?.by_pipeline.map((one) => [one.pipeline_id, one]));
  const words = (query.get("q") ?? "").toLowerCase();
  return html`<${PageHeading} title="Pipelines"><a class="button primary" href="/pipelines/new">New pipeline</a><//>
    <form
      class="filters"
      role="search"
      aria-label="Filter the pipelines"
      onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}
    >
      <label class="field">Search
        <input
          type="search"
          value=${query.get("q") ?? ""}
          autocomplete="off"
          placeholder="name, description, tag…"
          onInput=${(/** @type {any} */ event) => setQuery({ q: event.currentTarget.value })}
        />
      </label>
    </form>
    <${Rest} of=${pipelines} what="pipelines" />
    <${Shown} of=${pipelines} what="list of pipelines" rows=${8}>
      ${(/** @type {Pipeline[]} */ all) => {
        const shown = all.filter((pipeline) => matches(pipeline, words));
        return html`<${List} pipelines=${shown} figures=${figures} isFiltered=${words !== ""} />`;
      }}
    <//>`;
}

/** @param {{ pipelines: Pipeline[], figures: Map<string, PipelineStats>, isFiltered: boolean }} props */
function List({ pipelines, figures, isFiltered }) {
  if (pipelines.length === 0) {
    return isFiltered
      ? html`<${Empty} title="No pipeline is called that"><p><a href="/pipelines">Show all pipelines</a></p><//>`
      : html`<${Empty} title="No pipeline yet"><p>
            <a class="button primary" href="/pipelines/new">Create the first one</a>
          </p><//>`;
  }
  return html`<${Table}
    caption="Pipelines, newest first"
    columns=${["Name", "Version", "Queued", "Running", "Succeeded", "Failed", "Timed out", "Cancelled", "Changed"]}
  >
    ${pipelines.map((pipeline) => html`<${Row} key=${pipeline.id} pipeline=${pipeline} figures=${figures.get(pipeline.id)} />`)}
  <//>`;
}

/** @param {{ pipeline: Pipeline, figures: PipelineStats | undefined }} props */
function Row({ pipeline, figures }) {
  const { id, name, description, version, updated_at: updated } = pipeline;
  const count = (/** @type {number | undefined} */ value) => (value === undefined ? "–" : formatCount(value));
  return html`<tr>
    <${Cell} of="Name"><a class="clamped" href=${`/pipelines/${id}`}>${name}</a>${description && html`<span class="quiet clamped description">${description}</span>`}<//>
    <${Cell} of="Version">${version}<//>
    <${Cell} of="Queued">${count(figures?.queued)}<//>
    <${Cell} of="Running">${count(figures?.running)}<//>
    <${Cell} of="Succeeded">${count(figures?.succeeded)}<//>
    <${Cell} of="Failed">${count(figures?.failed)}<//>
    <${Cell} of="Timed out">${count(figures?.timed_out)}<//>
    <${Cell} of="Cancelled">${count(figures?.cancelled)}<//>
    <${Cell} of="Changed"><${Ago} time=${updated} /><//>
  </tr>`;
}

/**
 * @param {Pipeline} pipeline
 * @param {string} words in lower case
 */
function matches({ id, name, description, tags }, words) {
  return [id, name, description, JSON.stringify(tags)].some((text) => text?.toLowerCase().includes(words));
}
