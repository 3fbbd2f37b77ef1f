/** The list of jobs, newest first. */

import { isOfJobs, useJobs } from "../api/resources.js";
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
  const asked = Object.fromEntries(
    ["status", "pipeline_id", "runner_id", "search", "cursor"].map((name) => [name, query.get(name)]),
  );
  const jobs = useJobs({ ...asked, limit: PAGE }, { on: isOfJobs });
  return html`<${PageHeading} title="Jobs" />
    <${Filters} query=${query} pipelines=${names.all} nameOf=${names.nameOf} />
    <${Shown} of=${jobs} what="list of jobs" rows=${12}>
      ${(/** @type {Job[]} */ shown) => html`<${List} jobs=${shown} nameOf=${names.nameOf} query=${query} />`}
    <//>
    <${Pages} next=${jobs.next} isKnown=${jobs.data !== undefined} query=${query} />`;
}

/** @param {{ jobs: Job[], nameOf: (id: string) => string, query: URLSearchParams }} props */
function List({ jobs, nameOf, query }) {
  if (jobs.length === 0) {
    return query.size > 0
      ? html`<${Empty} title="No job is like that">
          ${query.has("search") && html`<p>It is found by eight characters or more of either end of its id, or a part of its pipeline's or runner's name.</p>`}
          ${query.has("runner_id") && html`<p>The runner is filtered by its whole name; a part of it can be searched for.</p>`}
          <p><a href="/jobs">Show all jobs</a></p>
        <//>`
      : html`<${Empty} title="No job yet"><p>Launch one from its <a href="/pipelines">pipeline</a>.</p><//>`;
  }
  return html`<${JobTable} jobs=${jobs} nameOf=${nameOf} caption="Jobs, newest first" />`;
}

/** @param {{ next: string | null, isKnown: boolean, query: URLSearchParams }} props */
function Pages({ next, isKnown, query }) {
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
    ${cursor ? html`<a href=${to(cursor)}>Older jobs</a>` : isKnown && html`<span class="quiet">This is the end</span>`}
  </nav>`;
}
