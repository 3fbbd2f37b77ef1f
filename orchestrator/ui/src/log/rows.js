/**
 * The rows that the lines of a log take: one each, or several where they are wrapped. They are counted, not measured:
 * letters are of one width, and a line may be broken at any of them.
 */

import { plainText } from "./ansi.js";

/** @typedef {import("./lines.js").Line} Line */

/** Characters of a line that are shown. */
export const MAX_LENGTH = 10_000;
/** Room for what says that there are more. */
const REST_LENGTH = 60;
/** Columns of a tab; the style sheet has the same. */
const TAB = 8;
/** What may not be as wide as a letter. */
const ODD = /[\t\u1100-\u115f\u2600-\uffff]/g;

export class LogRows {
  constructor() {
    this.columns = 0;
    /** @type {Line[]} */
    this.lines = [];
    /** @type {number[]} rows up to the end of each line; empty where each takes one */
    this.ends = [];
  }

  /**
   * @param {Line[]} lines the same array while it grows at its end
   * @param {number} columns 0: lines are not wrapped
   */
  update(lines, columns) {
    if (lines !== this.lines || columns !== this.columns) this.ends = [];
    this.lines = lines;
    this.columns = columns;
    if (columns === 0) return;
    for (let number = this.ends.length; number < lines.length; number += 1) {
      const rows = rowsOf(/** @type {Line} */ (lines[number]), columns);
      this.ends.push((this.ends[number - 1] ?? 0) + rows);
    }
  }

  /** @returns {number} rows of all lines */
  get count() {
    return this.before(this.lines.length);
  }

  /** @param {number} line @returns {number} rows before it */
  before(line) {
    return this.columns === 0 ? line : (this.ends[line - 1] ?? 0);
  }

  /** @param {number} row @returns {number} the line that has it */
  lineAt(row) {
    if (this.columns === 0) return Math.floor(row);
    let [low, high] = [0, this.ends.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (/** @type {number} */ (this.ends[middle]) <= row) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * @param {Line} line
 * @param {number} columns
 * @returns {number} too many rather than too few
 */
function rowsOf({ text, attempt }, columns) {
  if (attempt !== null) return 1;
  const isOdd = text.search(ODD) >= 0;
  if (!isOdd && text.length <= columns) return 1;
  const shown = plainText(text.slice(0, MAX_LENGTH));
  const rest = text.length > MAX_LENGTH ? REST_LENGTH : 0;
  // One that is twice as wide leaves a column empty where it does not fit any more.
  const usable = isOdd ? Math.max(1, columns - 1) : columns;
  let length = shown.length + rest;
  for (const [character] of shown.matchAll(ODD)) length += character === "\t" ? TAB - 1 : 1;
  return Math.max(1, Math.ceil(length / usable));
}
