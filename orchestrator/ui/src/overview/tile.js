/** One figure that leads to what it counts. */

import { html } from "../html.js";

/** @param {{ href: string, label: string, value: string, note: string, tone?: "good" | "bad" }} props */
export function Tile({ href, label, value, note, tone }) {
  return html`<li>
    <a class=${`tile${tone ? ` tile-${tone}` : ""}`} href=${href}>
      <span class="tile-label">${label}</span>
      <span class="tile-value">${value}</span>
      <span class="tile-note">${note}</span>
    </a>
  </li>`;
}
