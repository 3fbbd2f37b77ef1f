/** What an event is about, as a link. */

import { query } from "../api/client.js";
import { shortId } from "../format.js";
import { html } from "../html.js";
import { JobLink, RunnerLink } from "../ui/parts.js";

/** @param {{ event: import("../api/types.js").EventBody, nameOf: (pipelineId: string) => string }} props */
export function Subject({ event, nameOf }) {
  const { stream_type: kind, stream_id: id, payload } = event;
  switch (kind) {
    case "job":
    case "job_log":
      return html`<${JobLink} id=${payload.job_id ?? id} />`;
    case "pipeline":
      return html`<a href=${`/pipelines/${id}`}>${payload.definition?.name ?? nameOf(id)}</a>`;
    case "runner":
      return html`<${RunnerLink} id=${id} />`;
    case "claim":
      return html`<${RunnerLink} id=${payload.runner_id ?? id} />`;
    case "projection":
      return html`<a href="/projections">${id}</a>`;
    case "webhook":
      return html`<a href=${streamOf(event)} title=${id}><code>…${shortId(id)}</code></a>`;
    default:
      return html`<a href=${streamOf(event)}>${id}</a>`;
  }
}

/**
 * @param {import("../api/types.js").EventBody} event
 * @returns {string} address of all events of its stream
 */
export function streamOf({ stream_type, stream_id }) {
  return `/events${query({ stream_type, stream_id })}`;
}
