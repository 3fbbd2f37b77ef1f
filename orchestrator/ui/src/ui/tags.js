/** Short texts one after the other; where there are very many, the rest on demand. */

import { formatCount } from "../format.js";
import { html } from "../html.js";

const MOST = 20;

/** @param {{ texts: string[] }} props */
export function Tags({ texts }) {
  const rest = texts.slice(MOST);
  return html`${texts.slice(0, MOST).map(tag)}
  ${rest.length > 0 && html`<details><summary>${formatCount(rest.length)} more</summary>${rest.map(tag)}</details>`}`;
}

/** @param {string} text */
function tag(text) {
  return html`<code key=${text} class="tag">${text}</code> `;
}
