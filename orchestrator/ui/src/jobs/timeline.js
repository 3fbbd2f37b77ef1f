/** The life of a job: how long it waited and ran, attempt by attempt. */

import { counted, formatDuration, formatTime, secondsBetween } from "../format.js";
import { html } from "../html.js";
import { useNow } from "../live/use-now.js";
import { Status } from "../ui/parts.js";
import { lifeOf } from "./phases.js";

/** @typedef {import("./phases.js").Phase} Phase */

const WORDS = { queued: "Waited", claimed: "Claimed", running: "Ran", cancelling: "Stopping" };

/** Phases that are listed at once: of a job with many attempts, the last ones. */
const MOST = 12;

/** A phase is at least so wide, in percent, that it can be seen. */
const MIN_WIDTH = 1.5;

/** @param {{ events: import("../api/types.js").EventBody[] }} props */
export function Timeline({ events }) {
  const { phases, end } = lifeOf(events);
  const now = useNow(end === null);
  const earlier = phases.slice(0, -MOST);
  const begin = phases[0]?.from;
  if (!begin) return null;
  const whole = secondsBetween(begin, end?.at ?? now);
  const bars = phases.map((phase, place) => {
    const share = whole > 0 ? (100 * secondsBetween(phase.from, phase.to ?? now)) / whole : 0;
    return html`<span
      key=${place}
      class=${`phase phase-${phase.kind}`}
      title=${inWords(phase, now)}
      style=${{ flexGrow: Math.max(share, MIN_WIDTH) }}></span>`;
  });
  return html`<div class="timeline">
    <div class="phases" aria-hidden="true">${bars}</div>
    ${
      earlier.length > 0 &&
      html`<details>
        <summary>${counted(earlier.length, "earlier phase")}</summary>
        <ol class="phase-list">
          ${earlier.map((phase, place) => html`<${PhaseItem} key=${place} phase=${phase} now=${now} />`)}
        </ol>
      </details>`
    }
    <ol class="phase-list">
      ${phases.slice(-MOST).map((phase, place) => html`<${PhaseItem} key=${earlier.length + place} phase=${phase} now=${now} />`)}
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
  return html`<li class="clamped" title=${formatTime(phase.from)}>
    <span class=${`phase-mark phase-${phase.kind}`} aria-hidden="true"></span>
    ${inWords(phase, now)}
  </li>`;
}

/**
 * @param {Phase} phase
 * @param {number} now
 */
function inWords({ kind, attempt, runner, from, to, failure }, now) {
  const which = failure ? `: ${failure}` : attempt > 0 && kind !== "queued" ? `, attempt ${attempt}` : "";
  const where = runner ? ` on ${runner}` : "";
  const goesOn = to ? "" : " so far";
  return `${WORDS[kind]} ${formatDuration(secondsBetween(from, to ?? now))}${goesOn}${where}${which}`;
}
