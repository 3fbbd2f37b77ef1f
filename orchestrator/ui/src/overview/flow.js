/** The queue over time: how much waited and ran, and for how long it had waited. */

import { useMemo } from "preact/hooks";

import { formatCount, formatDuration } from "../format.js";
import { html } from "../html.js";
import { Chart } from "../ui/chart.js";

/** @typedef {import("../api/types.js").StatsPoint} StatsPoint */

/** @param {{ points: StatsPoint[] }} props */
export function Flow({ points }) {
  const { times, depth, waits } = useMemo(() => seriesOf(points), [points]);
  const most = Math.max(0, ...points.map(({ queued }) => queued));
  const longest = Math.max(0, ...points.map((point) => point.longest_wait_seconds ?? 0));
  return html`<div class="columns">
    <${Chart}
      summary=${`Jobs waiting and running over the last ${points.length} minutes; at most ${formatCount(most)} waited at once.`}
      times=${times}
      series=${depth}
      format=${formatWhole}
      least=${1}
    />
    <${Chart}
      summary=${`How long jobs had waited when they were claimed, over the last ${points.length} minutes; at most ${formatDuration(longest)}.`}
      times=${times}
      series=${waits}
      format=${formatDuration}
      least=${0.1}
    />
  </div>`;
}

/** @param {StatsPoint[]} points */
function seriesOf(points) {
  return {
    times: points.map(({ minute }) => Date.parse(minute) / 1_000),
    depth: [
      { label: "Queued", colour: "--chart-1", values: points.map(({ queued }) => queued) },
      { label: "Running", colour: "--chart-2", values: points.map(({ running }) => running) },
    ],
    waits: [
      { label: "Average wait", colour: "--chart-1", values: points.map((point) => point.average_wait_seconds) },
      { label: "Longest wait", colour: "--chart-3", values: points.map((point) => point.longest_wait_seconds) },
    ],
  };
}

/** Jobs are whole: an axis has no halves of them. @param {number} value */
function formatWhole(value) {
  return Number.isInteger(value) ? formatCount(value) : "";
}
