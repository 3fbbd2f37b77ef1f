/** What the list of jobs is narrowed by; the address keeps it. */

import { useEffect } from "preact/hooks";

import { html } from "../html.js";
import { navigate, setQuery } from "../router.js";
import { TypedInput, useTyped } from "../ui/typed-input.js";

/** @typedef {import("../api/types.js").JobStatus} JobStatus */

/** @type {JobStatus[]} */
const STATUSES = ["Queued", "Running", "Succeeded", "Failed", "Cancelled", "TimedOut"];

/** Letters that follow each other within this time are one search. */
const TYPING_MS = 250;

const UUID = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i;

/**
 * @param {{ query: URLSearchParams, pipelines: import("../api/types.js").PipelineStats[], nameOf: (id: string) => string }} props
 */
export function Filters({ query, pipelines, nameOf }) {
  const chosen = (query.get("status") ?? "").split(",").filter(Boolean);
  const pipelineId = query.get("pipeline_id") ?? "";
  const isListed = pipelineId === "" || pipelines.some(({ pipeline_id: id }) => id === pipelineId);

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
      <select value=${pipelineId} onChange=${onValue((value) => filter({ pipeline_id: value }))}>
        <option value="">All</option>
        ${!isListed && html`<option value=${pipelineId}>${nameOf(pipelineId)}</option>`}
        ${pipelines.map(({ pipeline_id, name }) => html`<option key=${pipeline_id} value=${pipeline_id}>${name}</option>`)}
      </select>
    </label>
    <label class="field">Runner
      <${TypedInput}
        value=${query.get("runner_id") ?? ""}
        placeholder="its whole name"
        onValue=${(/** @type {string} */ value) => filter({ runner_id: value })}
      />
    </label>
    <label class="field">Search
      <${SearchInput} value=${query.get("search") ?? ""} onSearch=${search} />
    </label>
  </form>`;
}

/** @param {Record<string, string>} changes */
function filter(changes) {
  // Another filter has pages of its own.
  setQuery({ ...changes, cursor: null });
}

/** A whole id leads to its job; anything else is searched for. @param {string} text */
function search(text) {
  if (UUID.test(text)) navigate(`/jobs/${text.toLowerCase()}`);
  else filter({ search: text });
}

/**
 * A field that is heard when the typing pauses.
 * @param {{ value: string, onSearch: (text: string) => void }} props
 */
function SearchInput({ value, onSearch }) {
  const { text, setText, tell } = useTyped(value, onSearch);
  useEffect(() => {
    if (text.trim() === value) return undefined;
    const pause = setTimeout(tell, TYPING_MS);
    return () => clearTimeout(pause);
  }, [text]);
  return html`<input
    type="search"
    value=${text}
    autocomplete="off"
    placeholder="id, pipeline, runner…"
    onInput=${onValue(setText)}
  />`;
}

/** @param {(value: string) => void} take */
function onValue(take) {
  return (/** @type {any} */ event) => take(event.currentTarget.value);
}
