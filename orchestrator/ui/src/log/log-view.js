/** The visible lines of a log: only they are in the document, however long it is. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

import { formatClock, formatTime } from "../format.js";
import { html } from "../html.js";
import { setHash } from "../router.js";
import { spansOf } from "./ansi.js";
import { patternOf } from "./lines.js";

/** @typedef {import("./lines.js").Line} Line */

/** Height of a line in pixels; the style sheet has the same. */
const LINE_HEIGHT = 20;
/** Lines beyond either edge, so that scrolling does not show a gap. */
const OVERSCAN = 15;
/** Characters of a line that are shown. */
const MAX_LENGTH = 10_000;
/** Room for a scrollbar below the last line. */
const SCROLLBAR = 16;
/** Height of the pane while lines may come; the style sheet has the same. */
const MAX_HEIGHT = 448;
/** Pixels that every browser can scroll through: a log that is longer is gone through in larger steps. */
const MAX_SCROLL = 15_000_000;
/** Pixels from the end that still count as being there. */
const AT_END = 4;

/**
 * @typedef {object} LogViewProps
 * @property {Line[]} lines
 * @property {number} count how many there are: the array is the same while it grows
 * @property {number} shifted how many were put before the first ones
 * @property {boolean} isFollowing whether the end is to be seen
 * @property {(isFollowing: boolean) => void} onFollow the reader went to the end, or away from it
 * @property {{ line: number } | null} target a line to be shown; a new object shows it again
 * @property {string} marked name of the line that the address names
 * @property {string} words that were searched for
 * @property {number} found number of the line that the search is at
 * @property {boolean} isWhole whether no more lines will come: then it takes no more room than they need
 */

/** @param {LogViewProps} props */
export function LogView({ lines, count, shifted, isFollowing, onFollow, target, marked, words, found, isWhole }) {
  const pane = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [view, setView] = useState({ scroll: 0, height: 400 });
  const scale = scaleOf(count, view.height);
  const isSought = useRef(false);

  useEffect(() => {
    const element = pane.current;
    if (!element) return undefined;
    const measure = () => setView({ scroll: element.scrollTop, height: element.clientHeight });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useKeptPlace(pane, shifted, scale);

  useLayoutEffect(() => {
    if (isFollowing && pane.current) pane.current.scrollTop = count * LINE_HEIGHT;
  }, [isFollowing, count]);

  useLayoutEffect(() => {
    if (!target || !pane.current) return;
    isSought.current = true;
    const { scrollTop, clientHeight } = pane.current;
    const below = target.line * LINE_HEIGHT - scrollTop * scale;
    const isSeen = below >= 0 && below + LINE_HEIGHT <= clientHeight;
    if (!isSeen) pane.current.scrollTop = scrollTop + (below - (clientHeight - LINE_HEIGHT) / 2) / scale;
  }, [target]);

  // Sideways as well, as soon as the line is there.
  useLayoutEffect(() => {
    const match = isSought.current && pane.current?.querySelector(".is-found mark");
    if (!match || !pane.current) return;
    isSought.current = false;
    const [place, box] = [match.getBoundingClientRect(), pane.current.getBoundingClientRect()];
    if (place.left < box.left || place.right > box.right) pane.current.scrollLeft += place.left - box.left - box.width / 2;
  });

  function scrolled() {
    const element = pane.current;
    if (!element) return;
    setView({ scroll: element.scrollTop, height: element.clientHeight });
    const isAtEnd = element.scrollTop + element.clientHeight >= element.scrollHeight - AT_END;
    // Lines that were added since are no decision of the reader to leave the end.
    if (isAtEnd || element.scrollTop < view.scroll) onFollow(isAtEnd);
  }

  const seen = view.scroll * scale;
  const first = Math.max(0, Math.floor(seen / LINE_HEIGHT) - OVERSCAN);
  const end = Math.min(count, Math.ceil((seen + view.height) / LINE_HEIGHT) + OVERSCAN);
  const rows = lines.slice(first, end).map((line, place) => {
    const number = first + place;
    const top = number * LINE_HEIGHT - seen + view.scroll;
    const marks = (line.name === marked ? " is-marked" : "") + (number === found ? " is-found" : "");
    return html`<${Row} key=${line.name} line=${line} top=${top} marks=${marks} words=${words} />`;
  });
  const height = Math.min(count * LINE_HEIGHT + SCROLLBAR, MAX_HEIGHT);
  return html`<div
    ref=${pane}
    class="log-view"
    tabindex="0"
    role="region"
    aria-label="Log lines"
    style=${isWhole ? { height: `${height}px` } : undefined}
    onScroll=${scrolled}
  >
    <div class="log-lines" style=${{ height: `${Math.min(count * LINE_HEIGHT, MAX_SCROLL)}px` }}>${rows}</div>
  </div>`;
}

/**
 * What is read stays where it is while lines come before it.
 * @param {{ current: HTMLElement | null }} pane
 * @param {number} shifted
 * @param {number} scale
 */
function useKeptPlace(pane, shifted, scale) {
  const before = useRef({ shifted, scale });
  useLayoutEffect(() => {
    const moved = (shifted - before.current.shifted) * LINE_HEIGHT;
    if (pane.current) pane.current.scrollTop = (pane.current.scrollTop * before.current.scale + moved) / scale;
    before.current = { shifted, scale };
  }, [shifted, scale]);
}

/**
 * @param {number} count of lines
 * @param {number} height of the pane
 * @returns {number} pixels of the log to one that is scrolled
 */
function scaleOf(count, height) {
  const whole = count * LINE_HEIGHT;
  return whole > MAX_SCROLL ? (whole - height) / (MAX_SCROLL - height) : 1;
}

/** @param {{ line: Line, top: number, marks: string, words: string }} props */
function Row({ line, top, marks, words }) {
  const style = { transform: `translateY(${top}px)` };
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
