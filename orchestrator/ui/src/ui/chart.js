/** A chart of values over time. Its library is loaded with the first one. */

import { useEffect, useRef } from "preact/hooks";

import { html } from "../html.js";
import { onThemeChange } from "../theme.js";

/**
 * @typedef {object} Series
 * @property {string} label
 * @property {string} colour name of a custom property of the style sheet, such as `--chart-1`
 * @property {(number | null)[]} values one a point
 */

/**
 * @typedef {object} ChartProps
 * @property {string} summary what the chart shows, in words
 * @property {number[]} times of the points, in seconds since 1970
 * @property {Series[]} series
 * @property {(value: number) => string} format
 */

const HEIGHT = 180;

/** @param {ChartProps} props */
export function Chart({ summary, times, series, format }) {
  const place = useRef(/** @type {HTMLDivElement | null} */ (null));
  const plot = useRef(/** @type {import("uplot") | null} */ (null));
  const data = /** @type {import("uplot").AlignedData} */ ([times, ...series.map(({ values }) => values)]);
  const current = useRef({ data, series, format });
  current.current = { data, series, format };

  useEffect(() => {
    const element = /** @type {HTMLDivElement} */ (place.current);
    let isGone = false;
    async function draw() {
      const { default: UPlot } = await import("uplot");
      if (isGone) return;
      plot.current?.destroy();
      plot.current = new UPlot(
        optionsOf(current.current.series, element.clientWidth, current.current.format),
        current.current.data,
        element,
      );
    }
    void draw();
    const resize = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }));
    resize.observe(element);
    const stopThemes = onThemeChange(draw);
    return () => {
      isGone = true;
      resize.disconnect();
      stopThemes();
      plot.current?.destroy();
      plot.current = null;
    };
  }, []);

  useEffect(() => plot.current?.setData(data), [data]);

  return html`<figure class="chart">
    <div
      ref=${place}
      class="chart-place"
      role="img"
      aria-label=${summary}
    ></div>
    <figcaption>
      ${series.map(({ label, colour }) => html`<span key=${label} class="legend"><span class="legend-mark" style=${{ background: `var(${colour})` }}></span>${label}</span>`)}
    </figcaption>
  </figure>`;
}

/**
 * @param {Series[]} series
 * @param {number} width
 * @param {(value: number) => string} format
 * @returns {import("uplot").Options}
 */
function optionsOf(series, width, format) {
  const styles = getComputedStyle(document.documentElement);
  const colour = (/** @type {string} */ name) => styles.getPropertyValue(name).trim();
  const axis = {
    stroke: colour("--chart-text"),
    grid: { stroke: colour("--chart-grid"), width: 1 },
    ticks: { show: false },
    font: "12px system-ui",
  };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { drag: { x: false, y: false } },
    scales: {
      y: { range: (_, _low, high) => [0, Math.max(high ?? 0, 1) * 1.1] },
    },
    axes: [axis, { ...axis, size: 56, values: (_, ticks) => ticks.map(format) }],
    series: [
      {},
      ...series.map((one) => ({
        label: one.label,
        stroke: colour(one.colour),
        width: 2,
        spanGaps: false,
        points: { size: 4 },
      })),
    ],
  };
}
