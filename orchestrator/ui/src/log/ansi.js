/**
 * Terminal colours as spans of text. `ansi_up` reads the escape sequences; its HTML is never made: what it would
 * write as markup is collected as data, and becomes text nodes.
 */

import { AnsiUp } from "ansi_up";

/**
 * @typedef {object} Span
 * @property {string} text
 * @property {string} [className]
 * @property {Record<string, string>} [style] colours that no class has; the style sheet keeps them readable
 * @property {string} [href] of a link, with http or https
 */

/** @typedef {{ class_name: string, rgb: number[] } | null} Colour */

/** @typedef {{ text: string, bold: boolean, faint: boolean, italic: boolean, underline: boolean, fg: Colour, bg: Colour }} Fragment */

const ESCAPE = "\u001b";
/** What a terminal is told beside its text, such as the title of its window. A link (8) is kept. */
const TITLE = /\u001b\](?!8;)[^\u0007\u001b]*(\u0007|\u001b\\)/g;
// The steps of ansi_up are private in its types.
const Reader = /** @type {new () => any} */ (/** @type {unknown} */ (AnsiUp));

class SpanReader extends Reader {
  constructor() {
    super();
    /** @type {Span[]} */
    this.spans = [];
  }

  /**
   * @param {string} text one line
   * @returns {Span[]}
   */
  read(text) {
    this.spans = [];
    this._buffer = "";
    this.ansi_to_html(`${ESCAPE}[0m${text.replace(TITLE, "")}`);
    // A sequence that the line breaks off is shown without what would make it one.
    const rest = this._buffer.replaceAll(ESCAPE, "");
    if (rest) this.spans.push({ text: rest });
    return this.spans;
  }

  /** @param {Fragment} fragment */
  transform_to_html(fragment) {
    if (fragment.text) this.spans.push(spanOf(fragment));
    return "";
  }

  /** @param {{ url: string, text: string }} link */
  process_hyperlink({ url, text }) {
    const href = safeLink(url);
    this.spans.push(href ? { text, href } : { text });
    return "";
  }
}

const reader = new SpanReader();

/**
 * @param {string} text one line, perhaps with escape sequences
 * @returns {Span[]}
 */
export function spansOf(text) {
  return text.includes(ESCAPE) ? reader.read(text) : [{ text }];
}

/**
 * @param {string} text
 * @returns {string} without escape sequences: what a search looks at
 */
export function plainText(text) {
  if (!text.includes(ESCAPE)) return text;
  return spansOf(text)
    .map((span) => span.text)
    .join("");
}

/**
 * The colours that are on at the end of a text, as the sequences that switch them on.
 * @param {string} text
 * @param {string} before those that were on at its beginning
 * @returns {string}
 */
export function coloursAfter(text, before) {
  if (!text.includes(ESCAPE)) return before;
  const codes = text.match(COLOUR) ?? [];
  const reset = codes.findLastIndex((code) => RESET.test(code));
  const kept = reset < 0 ? [...(before.match(COLOUR) ?? []), ...codes] : codes.slice(reset + 1);
  return kept.slice(-MAX_KEPT).join("");
}

/** Enough for what sets colours sanely; one that never resets must not grow without end. */
const MAX_KEPT = 16;
const COLOUR = /\u001b\[[\d;:]*m/g;
const RESET = /^\u001b\[0*m$/;

/**
 * @param {Fragment} fragment
 * @returns {Span}
 */
function spanOf({ text, bold, faint, italic, underline, fg, bg }) {
  const classes = [bold && "ansi-bold", faint && "ansi-faint", italic && "ansi-italic", underline && "ansi-underline"];
  /** @type {Record<string, string>} */
  const style = {};
  if (fg) classes.push(`${prefixed(fg.class_name)}-fg`);
  if (bg) classes.push(`${prefixed(bg.class_name)}-bg`);
  if (fg?.class_name === "truecolor") style["--ansi-fg"] = `rgb(${fg.rgb.join(" ")})`;
  if (bg?.class_name === "truecolor") style["--ansi-bg"] = `rgb(${bg.rgb.join(" ")})`;
  return { text, className: classes.filter(Boolean).join(" "), style };
}

/** @param {string} name of a colour, as ansi_up has it */
function prefixed(name) {
  return name === "truecolor" ? "ansi-truecolor" : name;
}

/**
 * @param {string} url
 * @returns {string | null} it, if following it is safe
 */
function safeLink(url) {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  return parsed && (parsed.protocol === "https:" || parsed.protocol === "http:") ? parsed.href : null;
}
