/** What is shown instead of data: while it loads, where there is none, and where it cannot be had. */

import { formatCount } from "../format.js";
import { html } from "../html.js";

/** @typedef {import("preact").ComponentChildren} Children */

/**
 * Takes the room of what will be there, so that nothing jumps.
 * @param {{ rows?: number, label?: string }} props
 */
export function Loading({ rows = 5, label = "Loading" }) {
  const bars = Array.from({ length: rows }, (_, row) => html`<span key=${row} class="skeleton"></span>`);
  return html`<div class="loading" role="status">
    <span class="visually-hidden">${label}…</span>${bars}
  </div>`;
}

/** @param {{ title: string, children?: Children }} props the children say what to do next */
export function Empty({ title, children }) {
  return html`<div class="empty">
    <p class="empty-title">${title}</p>
    ${children}
  </div>`;
}

/**
 * @param {{ error: import("../api/client.js").ApiError, what: string, onRetry?: () => void }} props
 */
export function Failure({ error, what, onRetry }) {
  return html`<div class="failure" role="alert">
    <p class="failure-title">The ${what} cannot be shown</p>
    <p>${error.message} ${advice(error)}</p>
    ${error.requestId && html`<p class="quiet">Request <code>${error.requestId}</code></p>`}
    ${onRetry && !error.isRefusal && html`<button type="button" onClick=${onRetry}>Try again</button>`}
  </div>`;
}

/** @param {{ what: string, id: string }} props */
function Missing({ what, id }) {
  return html`<div class="failure" role="alert">
    <p class="failure-title clamped">There is no ${what} ${id}</p>
    <p>
      The address may be mistyped, or come from another server. <a href=${`/${what}s`}>Show all ${what}s</a>
    </p>
  </div>`;
}

/** @param {import("../api/client.js").ApiError} error */
function advice(error) {
  if (error.isUnreachable) return "It is asked again by itself.";
  if (error.status === 503) return "The server is busy or starting: it is asked again in a moment.";
  if (error.status >= 500) return "The log of the server has the cause, under this request.";
  return "";
}

/**
 * One resource in the state that it is in: loading, failed, or shown, with a word where it is old.
 * @template T
 * @param {{ of: import("../live/use-resource.js").Resource<T>, what: string, id?: string, rows?: number, children: (data: T) => Children }} props
 *   `id`: of one of several, which may be missing
 */
export function Shown({ of, what, id, rows, children }) {
  const { data, error, isStale, reload } = of;
  if (data === undefined) {
    if (id !== undefined && error?.isMissing) return html`<${Missing} what=${what} id=${id} />`;
    return error ? html`<${Failure} error=${error} what=${what} onRetry=${reload} />` : html`<${Loading} rows=${rows} />`;
  }
  return html`${error && html`<${Outdated} error=${error} />`}
  ${!error && isStale && html`<p class="notice" role="status">The server is catching up: this may be a little old.</p>`}
  ${children(data)}`;
}

/**
 * Says that a list goes on beyond what is shown of it.
 * @param {{ of: import("../live/use-resource.js").Resource<unknown[]>, what: string }} props
 */
export function Rest({ of: { data, next }, what }) {
  return (
    next &&
    html`<p class="notice" role="status">Of the newest ${formatCount(data?.length ?? 0)} ${what} only: there are more.</p>`
  );
}

/** @param {{ error: import("../api/client.js").ApiError }} props */
function Outdated({ error }) {
  return html`<p class="notice" role="status">This is how it was before. ${error.message} ${advice(error)}</p>`;
}
