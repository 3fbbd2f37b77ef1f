/** A script with numbered lines. */

import { html } from "../html.js";

/** @param {{ script: string, label: string }} props */
export function Source({ script, label }) {
  const lines = script.replace(/\n$/, "").split("\n");
  return html`<div class="source" tabindex="0" role="region" aria-label=${label}>
    <pre class="source-numbers" aria-hidden="true">
${lines.map((_, place) => `${place + 1}\n`)}</pre>
    <pre class="source-text">${lines.join("\n")}</pre>
  </div>`;
}
