/** The visible lines of a log: only they are in the document, however long it is. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

import { formatClock } from "../format.js";
import { html } from "../html.js";
import { setHash } from "../router.js";
import { spansOf } from "./ansi.js";

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
 * @property {boolean} isWhole whether no more lines will come: then it takes no more room than they need
 */

/** @param {LogViewProps} props */
export function LogView({ lines, count, shifted, isFollowing, onFollow, target, marked, words, isWhole }) {
  const pane = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [view, setView] = useState({ top: 0, height: 400 });

  useEffect(() => {
    const element = pane.current;
    if (!element) return undefined;
    const measure = () => setView({ top: element.scrollTop, height: element.clientHeight });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  // What is read stays where it is while lines come before it.
  const before = useRef(shifted);
  useLayoutEffect(() => {
    if (pane.current) pane.current.scrollTop += (shifted - before.current) * LINE_HEIGHT;
    before.current = shifted;
  }, [shifted]);

  useLayoutEffect(() => {
    if (isFollowing && pane.current) pane.current.scrollTop = count * LINE_HEIGHT;
  }, [isFollowing, count]);

  useLayoutEffect(() => {
    if (!target || !pane.current) return;
    const { scrollTop, clientHeight } = pane.current;
    const top = target.line * LINE_HEIGHT;
    const isSeen = top >= scrollTop && top + LINE_HEIGHT <= scrollTop + clientHeight;
    if (!isSeen) pane.current.scrollTop = top - (clientHeight - LINE_HEIGHT) / 2;
  }, [target]);

  function scrolled() {
    const element = pane.current;
    if (!element) return;
    setView({ top: element.scrollTop, height: element.clientHeight });
    const isAtEnd = element.scrollTop + element.clientHeight >= element.scrollHeight - AT_END;
    // Lines that were added since are no decision of the reader to leave the end.
    if (isAtEnd || element.scrollTop < view.top) onFollow(isAtEnd);
  }

  const first = Math.max(0, Math.floor(view.top / LINE_HEIGHT) - OVERSCAN);
  const end = Math.min(count, Math.ceil((view.top + view.height) / LINE_HEIGHT) + OVERSCAN);
  const rows = lines.slice(first, end).map((line, place) => {
    const top = (first + place) * LINE_HEIGHT;
    return html`<${Row} key=${line.name} line=${line} top=${top} isMarked=${line.name === marked} words=${words} />`;
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
    <div class="log-lines" style=${{ height: `${count * LINE_HEIGHT}px` }}>${rows}</div>
  </div>`;
}

/** @param {{ line: Line, top: number, isMarked: boolean, words: string }} props */
function Row({ line, top, isMarked, words }) {
  const style = { transform: `translateY(${top}px)` };
  if (line.attempt !== null) return html`<div class="log-line log-attempt" style=${style}>${line.text}</div>`;
  // The browser would move the whole page to the line.
  const mark = (/** @type {Event} */ event) => {
    event.preventDefault();
    setHash(`L${line.name}`);
  };
  const classes = `log-line log-${line.level.toLowerCase()}${isMarked ? " is-marked" : ""}`;
  return html`<div class=${classes} style=${style} id=${`L${line.name}`}>
    <a class="log-number" href=${`#L${line.name}`} aria-label=${`Line ${line.name}`} onClick=${mark}>${line.name}</a>
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
  const lower = text.toLowerCase();
  const parts = [];
  let from = 0;
  for (let at = lower.indexOf(words); at >= 0; at = lower.indexOf(words, from)) {
    parts.push(text.slice(from, at), html`<mark key=${at}>${text.slice(at, at + words.length)}</mark>`);
    from = at + words.length;
  }
  return [...parts, text.slice(from)];
}
