/** The lines of a log as they are shown: an entry can have many, and a program can have overwritten its own. */

import { coloursAfter, plainText } from "./ansi.js";

/** @typedef {import("../api/types.js").LogEntry} LogEntry */

/**
 * @typedef {object} Line
 * @property {string} name what a link names it by: the index of its entry, and which of its lines, `12` or `12.3`
 * @property {string} text
 * @property {string} colours escape sequences that were on before it
 * @property {LogEntry["level"]} level
 * @property {string} timestamp
 * @property {number | null} attempt where the line is the title of an attempt
 */

export class LogLines {
  constructor() {
    /** @type {Line[]} */
    this.all = [];
    /** Index of the first entry; 0 where there is none yet. */
    this.firstIndex = 0;
    /** Index of the last entry. */
    this.lastIndex = 0;
    /** Lines that were put before the first ones, from then on. */
    this.shifted = 0;
    this.attempt = 0;
    /** @type {Map<string, number>} where each entry begins, by its index */
    this.firsts = new Map();
  }

  /** @param {LogEntry[]} entries the next ones */
  add(entries) {
    for (const entry of entries) {
      // A stream that was resumed may repeat itself.
      if (entry.index > this.lastIndex) this.addEntry(entry);
    }
  }

  /** @param {LogEntry[]} entries those before the first ones */
  addEarlier(entries) {
    const earlier = new LogLines();
    earlier.add(entries.filter(({ index }) => index < this.firstIndex));
    if (earlier.all.length === 0) return;
    // The attempt that was under way at the first entry has its title further up.
    const before = this.all.length;
    if (this.all[0]?.name === `attempt-${earlier.attempt}`) this.all.shift();
    const moved = earlier.all.length + this.all.length - before;
    this.all = earlier.all.concat(this.all);
    this.firsts = new Map([
      ...earlier.firsts,
      ...[...this.firsts].map(([index, place]) => /** @type {const} */ ([index, place + moved])),
    ]);
    this.firstIndex = earlier.firstIndex;
    this.shifted += moved;
  }

  /** @param {LogEntry} entry */
  addEntry({ index, attempt, level, timestamp, message }) {
    this.firstIndex ||= index;
    this.lastIndex = index;
    if (attempt !== this.attempt) {
      this.attempt = attempt;
      this.all.push({
        name: `attempt-${attempt}`,
        text: `Attempt ${attempt}`,
        colours: "",
        level: "Info",
        timestamp,
        attempt,
      });
    }
    this.firsts.set(String(index), this.all.length);
    let colours = "";
    const texts = message.replace(/\r?\n$/, "").split("\n");
    for (const [place, raw] of texts.entries()) {
      const name = place === 0 ? String(index) : `${index}.${place + 1}`;
      const seen = lastWritten(raw);
      const text = raw.slice(seen).replace(/\r+$/, "");
      this.all.push({ name, text, colours: coloursAfter(raw.slice(0, seen), colours), level, timestamp, attempt: null });
      colours = coloursAfter(raw, colours);
    }
  }

  /**
   * @param {string} name
   * @returns {number} which line that is; -1 where there is none, or not yet
   */
  find(name) {
    const [index = "", place = "1"] = name.split(".");
    const first = this.firsts.get(index);
    const number = first === undefined ? -1 : first + Number(place) - 1;
    return this.all[number]?.name === name ? number : -1;
  }

  /**
   * @param {string} words
   * @param {number} from number of the line to begin with
   * @returns {number[]} numbers of the lines that contain the words, whatever their case
   */
  search(words, from = 0) {
    const pattern = patternOf(words);
    const found = [];
    for (let number = from; number < this.all.length; number += 1) {
      const line = /** @type {Line} */ (this.all[number]);
      if (plainText(line.text).search(pattern) >= 0) found.push(number);
    }
    return found;
  }
}

/**
 * Letter by letter: a text in lower case may be longer.
 * @param {string} words
 * @returns {RegExp} finds them whatever their case
 */
export function patternOf(words) {
  return new RegExp(words.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&"), "giu");
}

/**
 * A carriage return goes back to the beginning of the line: of a progress bar, its last state counts.
 * @param {string} raw
 * @returns {number} where that begins
 */
function lastWritten(raw) {
  return raw.replace(/\r+$/, "").lastIndexOf("\r") + 1;
}
