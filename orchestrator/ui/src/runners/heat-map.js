/** Runners against time: the darker, the busier. */

import { formatClock } from "../format.js";
import { html } from "../html.js";
import { serverNow } from "../live/server-time.js";
import { busyness } from "./busyness.js";
import { HOURS } from "./recent-jobs.js";

const SLICE_MS = 600_000;
const SLICES = (HOURS * 3_600_000) / SLICE_MS;
/** Steps of colour. */
const STEPS = 4;

/** @param {{ runners: import("../api/types.js").Runner[], jobs: import("../api/types.js").Job[] }} props */
export function HeatMap({ runners, jobs }) {
  const now = serverNow();
  const to = Math.ceil(now / SLICE_MS) * SLICE_MS;
  const from = to - SLICES * SLICE_MS;
  const shares = busyness(jobs, { from, to, slices: SLICES, now });
  const idle = new Array(SLICES).fill(0);
  return html`<div class="heat" role="list" aria-label="How busy each runner was">
    ${runners.map(({ id }) => html`<${Row} key=${id} id=${id} shares=${shares.get(id) ?? idle} from=${from} />`)}
    <div class="heat-row" aria-hidden="true">
      <span></span>
      <span class="heat-axis"><span>${formatClock(new Date(from).toISOString()).slice(0, 5)}</span><span>now</span></span>
    </div>
  </div>
  <p class="heat-legend quiet" aria-hidden="true">
    idle ${Array.from({ length: STEPS + 1 }, (_, step) => html`<span key=${step} class=${`heat-cell heat-${step}`}></span>`)} busy all the time
  </p>`;
}

/** @param {{ id: string, shares: number[], from: number }} props */
function Row({ id, shares, from }) {
  const whole = Math.round((100 * shares.reduce((sum, share) => sum + share, 0)) / shares.length);
  return html`<div class="heat-row" role="listitem">
    <span class="heat-name clamped" title=${id}>${id}</span>
    <span class="heat-cells" role="img" aria-label=${`busy ${whole}% of the time`}>
      ${shares.map((share, slice) => {
        const step = share === 0 ? 0 : Math.max(1, Math.ceil(share * STEPS));
        const time = formatClock(new Date(from + slice * SLICE_MS).toISOString()).slice(0, 5);
        return html`<span
          key=${slice}
          class=${`heat-cell heat-${step}`}
          title=${`${time}: busy ${Math.round(share * 100)}%`}></span>`;
      })}
    </span>
  </div>`;
}
