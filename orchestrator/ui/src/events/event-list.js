/** Events in a list; each can be opened. */

import { useState } from "preact/hooks";

import { formatMoment, formatTime } from "../format.js";
import { html } from "../html.js";
import { serverNow } from "../live/server-time.js";
import { usePipelineNames } from "../pipelines/names.js";
import { Json } from "../ui/parts.js";
import { actorOf, describe } from "./describe.js";
import { Subject, streamOf } from "./subject.js";

/** @typedef {import("../api/types.js").EventBody} EventBody */

/** @param {{ events: EventBody[] }} props */
export function EventList({ events }) {
  const { nameOf } = usePipelineNames();
  return html`<ol class="event-list">
    ${events.map((event) => html`<${Item} key=${event.position} event=${event} nameOf=${nameOf} />`)}
  </ol>`;
}

/** @param {{ event: EventBody, nameOf: (pipelineId: string) => string }} props */
function Item({ event, nameOf }) {
  const [isOpen, setOpen] = useState(false);
  return html`<li>
    <details onToggle=${(/** @type {any} */ toggled) => setOpen(toggled.currentTarget.open)}>
      <summary>
        <span class="event-position">${event.position}</span>
        <time datetime=${event.recorded_at} title=${formatTime(event.recorded_at)}>${formatMoment(event.recorded_at, serverNow())}</time>
        <code class="event-type">${event.type}</code>
        <span class="event-text">${describe(event)} <span class="quiet">by ${actorOf(event)}</span></span>
      </summary>
      ${isOpen && html`<${Opened} event=${event} />`}
    </details>
    <span class="event-subject"><${Subject} event=${event} nameOf=${nameOf} /></span>
  </li>`;
}

/** @param {{ event: EventBody }} props */
function Opened({ event }) {
  const { stream_type: kind, stream_id: id, payload } = event;
  const job = kind === "job" || kind === "job_log" ? (payload.job_id ?? id) : payload.job_id;
  const pipeline = kind === "pipeline" ? id : payload.pipeline_id;
  return html`<p class="event-links">
      ${job && html`<a href=${`/jobs/${job}`}>The job</a>`}
      ${pipeline && html`<a href=${`/pipelines/${pipeline}`}>The pipeline</a>`}
      <a href=${streamOf(event)}>Only this ${kind.replace("_", " ")}</a>
    </p>
    <${Json} value=${event} label=${`Event ${event.position}`} />`;
}
