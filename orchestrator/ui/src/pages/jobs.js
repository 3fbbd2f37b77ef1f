/** The list of jobs, newest first. */

import { isOfJobs, useJobs } from "../api/resources.js";
import { counted } from "../format.js";
import { html } from "../html.js";
import { Filters } from "../jobs/filters.js";
import { JobTable } from "../jobs/job-table.js";
import { usePipelineNames } from "../pipelines/names.js";
import { useLocation } from "../router.js";
import { PageHeading } from "../ui/parts.js";
import { Empty, Shown } from "../ui/states.js";

/** @typedef {import("../api/types.js").Job} Job */

const PAGE = 50;

export function Jobs() {
  const { query } = useLocation();
  const names = usePipelineNames();
  const asked = Object.fromEntries(["status", "pipeline_id", "runner_id", "cursor"].map((name) => [name, query.get(name)]));
  const jobs = useJobs({ ...asked, limit: PAGE }, { on: isOfJobs });
  const words = (query.get("q") ?? "").toLowerCase();
  return html`<${PageHeading} title="Jobs" />
    <${Filters} query=${query} pipelines=${names.all} />
    <${Shown} of=${jobs} what="list of jobs" rows=${12}>
      ${(/** @type {Job[]} */ all) => {
        const shown = all.filter((job) => matches(job, words, names.nameOf));
        const isFiltered = [...query.keys()].length > 0;
        return html`<${List} jobs=${shown} of=${all.length} words=${words} nameOf=${names.nameOf} isFiltered=${isFiltered} />`;
      }}
    <//>
    <${Pages} next=${jobs.next} query=${query} />`;
}

/** @param {{ jobs: Job[], of: number, words: string, nameOf: (id: string) => string, isFiltered: boolean }} props */
function List({ jobs, of, words, nameOf, isFiltered }) {
  if (jobs.length === 0) {
    return isFiltered
      ? html`<${Empty} title="No job is like that"><p><a href="/jobs">Show all jobs</a></p><//>`
      : html`<${Empty} title="No job yet"><p>Launch one from its <a href="/pipelines">pipeline</a>.</p><//>`;
  }
  return html`${words && html`<p class="quiet" role="status">${jobs.length} of the ${counted(of, "job")} on this page</p>`}
    <${JobTable} jobs=${jobs} nameOf=${nameOf} caption="Jobs, newest first" />`;
}

/**
 * @param {Job} job
 * @param {string} words in lower case
 * @param {(id: string) => string} nameOf
 */
function matches(job, words, nameOf) {
  const texts = [
    job.id,
    nameOf(job.pipeline_id),
    job.runner_id,
    job.reason,
    job.result?.error_message,
    JSON.stringify(job.parameters),
  ];
  return texts.some((text) => text?.toLowerCase().includes(words));
}

/** @param {{ next: string | null, query: URLSearchParams }} props */
function Pages({ next, query }) {
  const cursor = next && new URL(next, window.location.href).searchParams.get("cursor");
  const to = (/** @type {string | null} */ place) => {
    const target = new URLSearchParams(query);
    if (place) target.set("cursor", place);
    else target.delete("cursor");
    return `/jobs${target.size > 0 ? `?${target}` : ""}`;
  };
  if (!cursor && !query.has("cursor")) return null;
  return html`<nav class="pages" aria-label="Pages of the list">
    ${query.has("cursor") ? html`<a href=${to(null)}>Newest</a>` : html`<span></span>`}
    ${cursor ? html`<a href=${to(cursor)}>Older jobs</a>` : html`<span class="quiet">This is the end</span>`}
  </nav>`;
}
