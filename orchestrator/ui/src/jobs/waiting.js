/** Why a job waits, and what to do about it. */

import { formatCount } from "../format.js";
import { html } from "../html.js";

/** @param {{ waiting: import("../api/types.js").Waiting }} props */
export function WhyWaiting({ waiting }) {
  const { reason, place, missing_capabilities: missing } = waiting;
  return html`<div class="why" role="status">
    <p>
      <strong>Why is it waiting?</strong> ${REASONS[reason]}
      ${place === 1 ? "It is the next in line." : `It is number ${formatCount(place)} in line.`}
    </p>
    ${
      missing.length > 0 &&
      html`<p>
          What is missing:
          ${missing.map((name) => html`<code key=${name} class="tag">${name}</code> `)}
        </p>
        <p>Start a runner that has it:</p>
        <pre class="json">${command(missing)}</pre>`
    }
    ${reason === "no_runner" && missing.length === 0 && html`<p>Start one: <code>${command([])}</code></p>`}
  </div>`;
}

const REASONS = {
  ready: "A suitable runner is idle: it is about to be claimed.",
  busy: "All suitable runners are at work.",
  no_runner: "No online runner can do all that it demands.",
  concurrency: "Its concurrency group runs as many jobs as it may.",
  backoff: "It failed, and its next attempt is not due yet.",
};

/** @param {string[]} capabilities */
function command(capabilities) {
  const named = capabilities.map((capability) => ` --capability '${capability.replaceAll("'", "'\\''")}'`).join("");
  return `rivet-orchestrator runner --server ${window.location.origin} --id NAME${named}`;
}
