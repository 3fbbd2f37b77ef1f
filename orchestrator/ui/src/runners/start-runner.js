/** How to start a runner for this server. */

import { html } from "../html.js";

/** @param {{ capabilities?: string[] }} props what it must be able to do */
export function StartRunner({ capabilities = [] }) {
  const needed = capabilities.map((capability) => ` --capability ${quoted(capability)}`).join("");
  const command = `rivet-orchestrator runner --server ${window.location.origin} --id NAME${needed}`;
  return html`<p>Start one: <code class="command">${command}</code></p>`;
}

/** @param {string} text as a shell takes it for one word */
function quoted(text) {
  return /^[\w=./:-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
