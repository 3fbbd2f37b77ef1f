/** The visible lines of a log: only they are in the document, however long it is. */

import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";

import { formatClock, formatTime } from "../format.js";
import { html } from "../html.js";
import { setHash } from "../router.js";
import { spansOf } from "./ansi.js";
import { patternOf } from "./lines.js";
import { LogRows, MAX_LENGTH } from "./rows.js";

/** @typedef {import("./lines.js").Line} Line */

/** Height of a row in pixels; the style sheet has the same. */
const ROW_HEIGHT = 20;
/** Rows beyond either edge, so that scrolling does not show a gap. */
const OVERSCAN = 15;
/** Room for a scrollbar below the last line. */
const SCROLLBAR = 16;
/** Height of the pane while lines may come; the style sheet has the same. */
const MAX_HEIGHT = 448;
/** Pixels that every browser can scroll through: a log that is longer is gone through in larger steps. */
const MAX_SCROLL = 15_000_000;
/** Letters by which the width of one is measured. */
const LETTERS = "0".repeat(100);
/** Pixels from the end that still count as being there. */
const AT_END = 4;

/**
 * @typedef {object} LogViewProps
 * @property {Line[]} lines
 * @property {number} count how many there are: the array is the same while it grows
 * @property {number} shifted how many were put before the first ones
 * @property {boolean} isWrapped whether a line that is too long takes several rows
 * @property {boolean} isFollowing whether the end is to be seen
 * @property {(isFollowing: boolean) => void} onFollow the reader went to the end, or away from it
 * @property {{ line: number } | null} target a line to be shown; a new object shows it again
 * @property {string} marked name of the line that the address names
 * @property {string} words that were searched for
 * @property {number} found number of the line that the search is at
 * @property {boolean} isWhole whether no more lines will come: then it takes no more room than they need
 */

/** @param {LogViewProps} props */
export function LogView({ lines, count, shifted, isWrapped, isFollowing, onFollow, target, marked, words, found, isWhole }) {
  const pane = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [view, setView] = useView(pane);
  const rows = useMemo(() => new LogRows(), []);
  rows.update(lines, isWrapped ? view.columns : 0);
  const height = rows.count * ROW_HEIGHT;
  const scale = scaleOf(height, view.height);
  const isSought = useRef(false);
  // Before that, no place in the log is known.
  const isMeasured = view.columns > 0;
  const seen = view.scroll * scale;
  useKeptPlace(pane, { rows, shifted, scale, seen });

  useLayoutEffect(() => {
    if (isMeasured && isFollowing && pane.current) pane.current.scrollTop = height;
  }, [isMeasured, isFollowing, count, height, rows.columns]);

  useLayoutEffect(() => {
    if (!isMeasured || !target || !pane.current) return;
    isSought.current = true;
    const { scrollTop, clientHeight } = pane.current;
    const below = rows.before(target.line) * ROW_HEIGHT - scrollTop * scale;
    const isSeen = below >= 0 && below + ROW_HEIGHT <= clientHeight;
    if (!isSeen) pane.current.scrollTop = scrollTop + (below - (clientHeight - ROW_HEIGHT) / 2) / scale;
  }, [isMeasured, target]);

  // The place in the line as well, as soon as it is there.
  useLayoutEffect(() => {
    const match = isSought.current && pane.current?.querySelector(".is-found mark");
    if (!match || !pane.current) return;
    isSought.current = false;
    const [place, box] = [match.getBoundingClientRect(), pane.current.getBoundingClientRect()];
    if (place.left < box.left || place.right > box.right) pane.current.scrollLeft += place.left - box.left - box.width / 2;
    if (place.top < box.top || place.bottom > box.bottom) pane.current.scrollTop += place.top - box.top - box.height / 2;
  });

  function scrolled() {
    const element = pane.current;
    if (!element) return;
    setView(({ columns }) => ({ scroll: element.scrollTop, height: element.clientHeight, columns }));
    const isAtEnd = element.scrollTop + element.clientHeight >= element.scrollHeight - AT_END;
    // Lines that were added since are no decision of the reader to leave the end.
    if (isAtEnd || element.scrollTop < view.scroll) onFollow(isAtEnd);
  }

  const first = rows.lineAt(Math.max(0, seen / ROW_HEIGHT - OVERSCAN));
  const end = Math.min(count, rows.lineAt((seen + view.height) / ROW_HEIGHT + OVERSCAN) + 1);
  const shown = lines.slice(first, end).map((line, place) => {
    const number = first + place;
    const top = rows.before(number) * ROW_HEIGHT - seen + view.scroll;
    const lineHeight = (rows.before(number + 1) - rows.before(number)) * ROW_HEIGHT;
    const marks = (line.name === marked ? " is-marked" : "") + (number === found ? " is-found" : "");
    return html`<${Row} key=${line.name} line=${line} top=${top} height=${lineHeight} marks=${marks} words=${words} />`;
  });
  return html`<div
    ref=${pane}
    class=${isWrapped ? "log-view is-wrapped" : "log-view"}
    tabindex="0"
    role="region"
    aria-label="Log lines"
    style=${isWhole ? { height: `${Math.min(height + SCROLLBAR, MAX_HEIGHT)}px` } : undefined}
    onScroll=${scrolled}
  >
    <div class="log-line log-measure" aria-hidden="true">
      <span class="log-number"></span><span class="log-time">00:00:00</span><span class="log-text"><span>${LETTERS}</span></span>
    </div>
    <div class="log-lines" style=${{ height: `${Math.min(height, MAX_SCROLL)}px` }}>${shown}</div>
  </div>`;
}

/**
 * What is seen of the log, and how many letters a row has room for.
 * @param {{ current: HTMLElement | null }} pane
 */
function useView(pane) {
  const state = useState({ scroll: 0, height: 400, columns: 0 });
  const [, setView] = state;
  useLayoutEffect(() => {
    const element = pane.current;
    if (!element) return undefined;
    const measure = () => setView({ scroll: element.scrollTop, height: element.clientHeight, columns: columnsOf(element) });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return state;
}

/**
 * What is read stays where it is while lines come before it, and when they are wrapped otherwise.
 * @param {{ current: HTMLElement | null }} pane
 * @param {{ rows: LogRows, shifted: number, scale: number, seen: number }} now `seen`: pixels of the log above what is seen
 */
function useKeptPlace(pane, { rows, shifted, scale, seen }) {
  const { columns } = rows;
  const before = useRef({ shifted, scale, columns, line: 0 });
  useLayoutEffect(() => {
    const { current: then } = before;
    const moved = shifted - then.shifted;
    if (pane.current && columns !== then.columns) {
      pane.current.scrollTop = (rows.before(then.line + moved) * ROW_HEIGHT) / scale;
    } else if (pane.current) {
      pane.current.scrollTop = (pane.current.scrollTop * then.scale + rows.before(moved) * ROW_HEIGHT) / scale;
    }
  }, [shifted, scale, columns]);
  useLayoutEffect(() => {
    before.current = { shifted, scale, columns, line: rows.lineAt(seen / ROW_HEIGHT) };
  });
}

/**
 * @param {HTMLElement} pane
 * @returns {number} letters that a row has room for
 */
function columnsOf(pane) {
  const text = pane.querySelector(".log-measure .log-text");
  const letters = text?.firstElementChild;
  if (!text || !letters) return 0;
  const width = letters.getBoundingClientRect().width / LETTERS.length;
  return width > 0 ? Math.max(1, Math.floor(text.clientWidth / width)) : 0;
}

/**
 * @param {number} whole height of the log
 * @param {number} height of the pane
 * @returns {number} pixels of the log to one that is scrolled
 */
function scaleOf(whole, height) {
  return whole > MAX_SCROLL ? (whole - height) / (MAX_SCROLL - height) : 1;
}

/** @param {{ line: Line, top: number, height: number, marks: string, words: string }} props */
function Row({ line, top, height, marks, words }) {
  const style = { transform: `translateY(${top}px)`, height: `${height}px` };
  if (line.attempt !== null) {
    const since = html`<span class="quiet">from ${formatTime(line.timestamp)}</span>`;
    return html`<div class="log-line log-attempt" style=${style}>${line.text} ${since}</div>`;
  }
  // The browser would move the whole page to the line.
  const mark = (/** @type {Event} */ event) => {
    event.preventDefault();
    setHash(`L${line.name}`);
  };
  const classes = `log-line log-${line.level.toLowerCase()}${marks}`;
  return html`<div class=${classes} style=${style} id=${`L${line.name}`}>
    <a class="log-number" tabindex="-1" href=${`#L${line.name}`} aria-label=${`Line ${line.name}`} onClick=${mark}>${line.name}</a>
    <span class="log-time">${formatClock(line.timestamp)}</span>
    <span class="log-text"><${Text} line=${line} words=${words} /></span>
  </div>`;
}

/** @param {{ line: Line, words: string }} props */
function Text({ line, words }) {
  const rest = line.text.length - MAX_LENGTH;
  const text = rest > 0 ? line.text.slice(0, MAX_LENGTH) : line.text;
  const spans = spansOf(line.colours + text).map((span, place) => {
    const shown = highlighted(span.text, words);
    if (span.href) return html`<a key=${place} href=${span.href} target="_blank" rel="noopener noreferrer nofollow">${shown}</a>`;
    return html`<span key=${place} class=${span.className} style=${span.style}>${shown}</span>`;
  });
  return html`${spans}${rest > 0 && html`<span class="log-rest"> … ${rest} more characters, in the download</span>`}`;
}

/**
 * @param {string} text
 * @param {string} words
 * @returns {unknown} the text, with the words marked
 */
function highlighted(text, words) {
  if (!words) return text;
  const parts = [];
  let from = 0;
  for (const { 0: match, index } of text.matchAll(patternOf(words))) {
    parts.push(text.slice(from, index), html`<mark key=${index}>${match}</mark>`);
    from = index + match.length;
  }
  return [...parts, text.slice(from)];
}
