/** The life of a job: how long it waited and ran, attempt by attempt. */

import { formatDuration, formatTime, secondsBetween } from "../format.js";
import { html } from "../html.js";
import { useNow } from "../live/use-now.js";
import { Status } from "../ui/parts.js";
import { lifeOf } from "./phases.js";

/** @typedef {import("./phases.js").Phase} Phase */

const WORDS = { queued: "Waited", claimed: "Claimed", running: "Ran", cancelling: "Stopping" };

/** A phase is at least so wide, in percent, that it can be seen. */
const MIN_WIDTH = 1.5;

/** @param {{ events: import("../api/types.js").EventBody[] }} props */
export function Timeline({ events }) {
  const { phases, end } = lifeOf(events);
  const now = useNow(end === null);
  const begin = phases[0]?.from;
  if (!begin) return null;
  const whole = secondsBetween(begin, end?.at ?? now);
  const bars = phases.map((phase) => {
    const share = whole > 0 ? (100 * secondsBetween(phase.from, phase.to ?? now)) / whole : 0;
    return html`<span
      key=${phase.from}
      class=${`phase phase-${phase.kind}`}
      title=${inWords(phase, now)}
      style=${{ flexGrow: Math.max(share, MIN_WIDTH) }}></span>`;
  });
  return html`<div class="timeline">
    <div class="phases" aria-hidden="true">${bars}</div>
    <ol class="phase-list">
      ${phases.map((phase) => html`<${PhaseItem} key=${phase.from + phase.kind} phase=${phase} now=${now} />`)}
      ${
        end &&
        html`<li>
          <span class="phase-mark phase-end" aria-hidden="true"></span>
          <${Status} status=${end.status} /> <span class="quiet">after ${formatDuration(whole)}</span>
        </li>`
      }
    </ol>
  </div>`;
}

/** @param {{ phase: Phase, now: number }} props */
function PhaseItem({ phase, now }) {
  return html`<li title=${formatTime(phase.from)}>
    <span class=${`phase-mark phase-${phase.kind}`} aria-hidden="true"></span>
    ${inWords(phase, now)}
  </li>`;
}

/**
 * @param {Phase} phase
 * @param {number} now
 */
function inWords({ kind, attempt, runner, from, to }, now) {
  const which = attempt > 0 && kind !== "queued" ? `, attempt ${attempt}` : "";
  const where = runner ? ` on ${runner}` : "";
  const goesOn = to ? "" : " so far";
  return `${WORDS[kind]} ${formatDuration(secondsBetween(from, to ?? now))}${goesOn}${where}${which}`;
}
