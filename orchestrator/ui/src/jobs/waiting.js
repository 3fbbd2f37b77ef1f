/** Why a job waits, and what to do about it. */

import { formatCount } from "../format.js";
import { html } from "../html.js";
import { StartRunner } from "../runners/start-runner.js";

const REASONS = {
  ready: "A suitable runner is idle: it is about to be claimed.",
  busy: "All suitable runners are at work.",
  no_runner: "No online runner may claim it.",
  concurrency: "Its concurrency group runs as many jobs as it may.",
  backoff: "It failed, and its next attempt is not due yet.",
};

/** @param {{ waiting: import("../api/types.js").Waiting }} props */
export function WhyWaiting({ waiting }) {
  const { reason, place, missing_capabilities: missing } = waiting;
  const line = place === 1 ? "It is the next in line." : `It is number ${formatCount(place)} in line.`;
  return html`<div class="why" role="status">
    <p><strong>Why is it waiting?</strong> ${`${REASONS[reason]} ${line}`}</p>
    ${missing.length > 0 && html`<p>What no online runner has: ${missing.map((name) => html`<code key=${name} class="tag">${name}</code> `)}</p>`}
    ${reason === "no_runner" && html`<${StartRunner} capabilities=${missing} />`}
  </div>`;
}
