/** What the list of jobs is narrowed by; the address keeps it. */

import { html } from "../html.js";
import { navigate, setQuery } from "../router.js";

/** @typedef {import("../api/types.js").JobStatus} JobStatus */

/** @type {JobStatus[]} */
const STATUSES = ["Queued", "Running", "Succeeded", "Failed", "Cancelled", "TimedOut"];

const UUID = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i;

/**
 * @param {{ query: URLSearchParams, pipelines: import("../api/types.js").PipelineStats[] }} props
 */
export function Filters({ query, pipelines }) {
  const chosen = (query.get("status") ?? "").split(",").filter(Boolean);

  /** @param {JobStatus} status */
  function toggle(status) {
    const next = chosen.includes(status) ? chosen.filter((one) => one !== status) : [...chosen, status];
    filter({ status: next.join(",") });
  }

  return html`<form
    class="filters"
    role="search"
    aria-label="Filter the jobs"
    onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}
  >
    <fieldset class="chips">
      <legend class="visually-hidden">Status</legend>
      ${STATUSES.map(
        (status) =>
          html`<label key=${status} class="chip">
            <input type="checkbox" checked=${chosen.includes(status)} onChange=${() => toggle(status)} />
            <span>${status === "TimedOut" ? "Timed out" : status}</span>
          </label>`,
      )}
    </fieldset>
    <label class="field">Pipeline
      <select value=${query.get("pipeline_id") ?? ""} onChange=${onValue((value) => filter({ pipeline_id: value }))}>
        <option value="">All</option>
        ${pipelines.map(({ pipeline_id, name }) => html`<option key=${pipeline_id} value=${pipeline_id}>${name}</option>`)}
      </select>
    </label>
    <label class="field">Runner
      <input
        value=${query.get("runner_id") ?? ""}
        autocomplete="off"
        placeholder="any"
        onChange=${onValue((value) => filter({ runner_id: value }))}
      />
    </label>
    <label class="field">Search
      <input
        type="search"
        value=${query.get("q") ?? ""}
        autocomplete="off"
        placeholder="id, parameter, reason…"
        onInput=${onValue(search)}
      />
    </label>
  </form>`;
}

/** @param {Record<string, string>} changes */
function filter(changes) {
  // Another filter has pages of its own.
  setQuery({ ...changes, cursor: null });
}

/** A whole id leads to its job; anything else narrows what is shown. @param {string} text */
function search(text) {
  const words = text.trim();
  if (UUID.test(words)) navigate(`/jobs/${words.toLowerCase()}`);
  else setQuery({ q: words });
}

/** @param {(value: string) => void} take */
function onValue(take) {
  return (/** @type {any} */ event) => take(event.currentTarget.value);
}
