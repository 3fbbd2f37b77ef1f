/** Why a job waits, and what to do about it. */

import { query } from "../api/client.js";
import { formatCount } from "../format.js";
import { html } from "../html.js";
import { StartRunner } from "../runners/start-runner.js";
import { JobLink } from "../ui/parts.js";

const REASONS = {
  ready: "A suitable runner is idle, and may claim it.",
  busy: "All suitable runners are at work.",
  no_runner: "No online runner may claim it.",
  concurrency: "Its concurrency group runs as many jobs as it may.",
  backoff: "It failed, and its next attempt is not due yet.",
};

/** @param {{ waiting: import("../api/types.js").Waiting }} props */
export function WhyWaiting({ waiting }) {
  const { reason, place, missing_capabilities: missing, group, held_by: holders } = waiting;
  const line = place === 1 ? "It is the next in line." : `It is number ${formatCount(place)} in line.`;
  return html`<div class="why" role="status">
    <p><strong>Why is it waiting?</strong> ${`${REASONS[reason]} ${line}`}</p>
    ${missing.length > 0 && html`<p>What no online runner has: ${missing.map((name) => html`<code key=${name} class="tag">${name}</code> `)}</p>`}
    ${
      group !== undefined &&
      html`<p>
        The group is <a href=${`/events${query({ stream_type: "group", stream_id: group })}`}>${group}</a>.
        Its places are held by ${holders.map((id) => html`<${JobLink} key=${id} id=${id} />${" "}`)}
      </p>`
    }
    ${reason === "no_runner" && html`<${StartRunner} capabilities=${missing} />`}
  </div>`;
}
