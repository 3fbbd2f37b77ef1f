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
 * @property {number} least the axis of the values goes to this at least
 */

const HEIGHT = 180;
/** Of the labels at the left, where none needs more: charts beside each other then begin at the same place. */
const LEAST_WIDTH = 56;
/** Between these labels and what is around them. */
const MARGIN = 12;
const FONT = "12px system-ui";
/** Room above the highest value. */
const HEADROOM = 1.1;

const TICK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

/** @param {ChartProps} props */
export function Chart({ summary, times, series, format, least }) {
  const place = useRef(/** @type {HTMLDivElement | null} */ (null));
  const plot = useRef(/** @type {import("uplot") | null} */ (null));
  const data = /** @type {import("uplot").AlignedData} */ ([times, ...series.map(({ values }) => values)]);
  const current = useRef({ data, series, format, least });
  current.current = { data, series, format, least };

  useEffect(() => {
    const element = /** @type {HTMLDivElement} */ (place.current);
    let isGone = false;
    async function draw() {
      const { default: UPlot } = await import("uplot");
      if (isGone) return;
      plot.current?.destroy();
      const drawn = current.current;
      plot.current = new UPlot(optionsOf(drawn, element.clientWidth), drawn.data, element);
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
    <div ref=${place} class="chart-place" role="img" aria-label=${summary}></div>
    <figcaption>
      ${series.map((one) => html`<${Legend} key=${one.label} ...${one} />`)}
    </figcaption>
  </figure>`;
}

/** @param {Series} props */
function Legend({ label, colour }) {
  return html`<span><span class="legend-mark" style=${{ background: `var(${colour})` }}></span>${label}</span>`;
}

/**
 * @param {Pick<ChartProps, "series" | "format" | "least">} drawn
 * @param {number} width
 * @returns {import("uplot").Options}
 */
function optionsOf({ series, format, least }, width) {
  const styles = getComputedStyle(document.documentElement);
  const colour = (/** @type {string} */ name) => styles.getPropertyValue(name).trim();
  const axis = {
    stroke: colour("--chart-text"),
    grid: { stroke: colour("--chart-grid"), width: 1 },
    ticks: { show: false },
    font: FONT,
  };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { drag: { x: false, y: false } },
    scales: { y: { range: (_, _low, high) => [0, Math.max(high ?? 0, least) * HEADROOM] } },
    axes: [
      { ...axis, size: 28, values: (_, ticks) => ticks.map(formatTick) },
      { ...axis, size: widthOf, values: (_, ticks) => ticks.map(format) },
    ],
    series: [
      {},
      ...series.map((one) => ({
        label: one.label,
        stroke: colour(one.colour),
        width: 2,
        spanGaps: false,
        // A minute between two without a value has nothing but its point.
        points: { show: one.values.includes(null), size: 4 },
      })),
    ],
  };
}

/**
 * @param {unknown} _plot
 * @param {string[]} labels none at first
 */
function widthOf(_plot, labels) {
  const context = document.createElement("canvas").getContext("2d");
  if (!context) return LEAST_WIDTH;
  context.font = FONT;
  const widths = (labels ?? []).map((label) => context.measureText(label).width);
  return Math.ceil(Math.max(LEAST_WIDTH, ...widths.map((width) => width + MARGIN)));
}

/** @param {number} seconds since 1970 */
function formatTick(seconds) {
  return TICK.format(new Date(seconds * 1_000));
}
