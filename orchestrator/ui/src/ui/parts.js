/** Small parts that many pages share. */

import { useEffect, useRef } from "preact/hooks";

import { query } from "../api/client.js";
import { formatAgo, formatDuration, formatTime, secondsBetween, shortId } from "../format.js";
import { html } from "../html.js";
import { useNow } from "../live/use-now.js";

/** @typedef {import("preact").ComponentChildren} Children */

/** Shapes beside the colours, for who cannot tell those apart. */
const MARKS = {
  Queued: "○",
  Running: "◐",
  Succeeded: "✓",
  Failed: "✕",
  Cancelled: "⊘",
  TimedOut: "◷",
  Online: "●",
  Busy: "◐",
  Offline: "○",
};

const WORDS = { TimedOut: "Timed out" };

/** @param {{ status: keyof typeof MARKS, phase?: string }} props */
export function Status({ status, phase }) {
  const finer = phase === "cancelling" || phase === "backoff" || phase === "claimed" ? phase : null;
  const word = status in WORDS ? WORDS[/** @type {keyof typeof WORDS} */ (status)] : status;
  return html`<span class=${`status status-${status.toLowerCase()}`}>
    <span aria-hidden="true">${MARKS[status]}</span>
    ${word}${finer && html`<span class="quiet"> · ${finer}</span>`}
  </span>`;
}

/**
 * The heading of a page; it has the focus after a navigation, so that a screen reader begins there.
 * @param {{ title: string, children?: Children }} props the children stand beside it: buttons
 */
export function PageHeading({ title, children }) {
  const heading = useRef(/** @type {HTMLHeadingElement | null} */ (null));
  useEffect(() => {
    document.title = `${title} · Rivet`;
  }, [title]);
  useEffect(() => {
    if (document.body.dataset.visited) heading.current?.focus({ preventScroll: true });
    document.body.dataset.visited = "yes";
  }, []);
  return html`<div class="page-heading">
    <h1 ref=${heading} tabindex="-1">${title}</h1>
    ${children && html`<div class="actions">${children}</div>`}
  </div>`;
}

/** @param {{ time: string | null }} props */
export function Ago({ time }) {
  const now = useNow();
  if (!time) return html`<span class="quiet none">–</span>`;
  return html`<time class="whole" datetime=${time} title=${formatTime(time)}>${formatAgo(time, now)}</time>`;
}

/** How long something took, or has taken so far. @param {{ from: string | null, to: string | null }} props */
export function Took({ from, to }) {
  const now = useNow(from !== null && to === null);
  if (!from) return html`<span class="quiet none">–</span>`;
  return html`<span class="whole">${formatDuration(secondsBetween(from, to ?? now))}</span>`;
}

/** @param {{ id: string }} props */
export function JobLink({ id }) {
  return html`<a class="job-link" href=${`/jobs/${id}`} title=${id}><code>…${shortId(id)}</code></a>`;
}

/** Leads to the jobs of a runner. @param {{ id: string }} props */
export function RunnerLink({ id }) {
  return html`<a class="clamped" href=${`/jobs${query({ runner_id: id })}`}>${id}</a>`;
}

/**
 * Any value as readable JSON text.
 * @param {{ value: unknown, label: string }} props
 */
export function Json({ value, label }) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return html`<pre class="json" tabindex="0" role="region" aria-label=${label}>
${text}</pre>`;
}

/**
 * One fact of several, in a `dl` of class `facts`.
 * @param {{ name: string, children?: Children }} props
 */
export function Fact({ name, children }) {
  return html`<div class="fact"><dt>${name}</dt><dd>${children}</dd></div>`;
}

/**
 * A part of a page under a heading of its own.
 * @param {{ id: string, title: string, actions?: Children, children?: Children }} props
 */
export function Section({ id, title, actions, children }) {
  return html`<section class="section" aria-labelledby=${id}>
    <div class="section-heading">
      <h2 id=${id}>${title}</h2>
      ${actions && html`<div class="actions">${actions}</div>`}
    </div>
    ${children}
  </section>`;
}

/**
 * A table that becomes cards on a narrow screen.
 * @param {{ caption: string, columns: string[], children: Children }} props the column of the buttons has no name
 */
export function Table({ caption, columns, children }) {
  return html`<table class="table">
    <caption class="visually-hidden">${caption}</caption>
    <thead>
      <tr>
        ${columns.map((column) => (column ? html`<th key=${column} scope="col">${column}</th>` : html`<td key="buttons"></td>`))}
      </tr>
    </thead>
    <tbody>${children}</tbody>
  </table>`;
}

/** A cell that names its column where the table has become cards. @param {{ of: string, children?: Children }} props */
export function Cell({ of, children }) {
  return html`<td data-column=${of}><div>${children}</div></td>`;
}
