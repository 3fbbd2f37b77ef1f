/** What of a log is loaded, by pages: its end, or all from an entry on; what comes after that, and what was before. */

import { get, query } from "../api/client.js";

/** @typedef {import("../api/types.js").LogEntry} LogEntry */

/** @typedef {{ after: number } | "end"} Start an entry that the reading begins after, or the last ones */

/** Entries of one request. */
const PAGE = 5_000;
/** Entries that are loaded or followed unasked: the memory of a browser is not endless. */
const MAX_UNASKED = 200_000;

export class LogPages {
  /**
   * @param {string} path of the log
   * @param {Start} start
   * @param {(entries: LogEntry[]) => void} onEntries is told of each page, but not of earlier ones
   */
  constructor(path, start, onEntries) {
    this.path = path;
    this.start = start;
    this.onEntries = onEntries;
    /** Index of the first entry that was loaded; 0 where none was. */
    this.first = 0;
    /** Index of the last one, or of the one before the beginning. */
    this.last = start === "end" ? 0 : start.after;
    this.allowed = this.last + MAX_UNASKED;
  }

  /** Whether more has to be asked for. */
  get isFull() {
    return this.last >= this.allowed;
  }

  allowMore() {
    this.allowed = this.last + MAX_UNASKED;
  }

  /** Loads up to the present end, or what may be loaded unasked. @param {AbortSignal} signal */
  async catchUp(signal) {
    if (this.start === "end" && this.last === 0) await this.takeEnd(signal);
    await this.takeOn(signal);
    // The address may name an entry that is not there.
    if (this.first === 0 && this.last > 0) await this.takeEnd(signal);
  }

  /** @param {AbortSignal} signal */
  async takeEnd(signal) {
    const end = await this.ask({ tail: PAGE }, signal);
    this.last = 0;
    this.take(end);
    this.allowMore();
  }

  /** @param {AbortSignal} signal */
  async takeOn(signal) {
    for (let isMore = true; isMore && !this.isFull;) {
      const page = await this.ask({ after: this.last, limit: PAGE }, signal);
      this.take(page);
      isMore = page.length === PAGE;
    }
  }

  /** @param {LogEntry[]} entries the next ones */
  take(entries) {
    this.first ||= entries[0]?.index ?? 0;
    this.last = entries.at(-1)?.index ?? this.last;
    this.onEntries(entries);
  }

  /** @returns {Promise<LogEntry[]>} a page of those before the first one */
  async takeEarlier() {
    const after = Math.max(0, this.first - 1 - PAGE);
    const page = await this.ask({ after, limit: this.first - 1 - after });
    this.first = page[0]?.index ?? this.first;
    return page;
  }

  /**
   * @param {Record<string, number>} which
   * @param {AbortSignal} [signal]
   * @returns {Promise<LogEntry[]>}
   */
  async ask(which, signal) {
    const { body } = /** @type {{ body: LogEntry[] }} */ (await get(this.path + query(which), { signal }));
    return body;
  }
}
