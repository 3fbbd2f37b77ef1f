/** Entries that arrive one by one, told together: each telling is a rendering. */

/** @typedef {import("../api/types.js").LogEntry} LogEntry */

/** Entries that arrive within this time are told together. */
const GATHER_MS = 100;

/** @param {(entries: LogEntry[]) => void} onEntries */
export function gather(onEntries) {
  /** @type {LogEntry[]} */
  let waiting = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  function flush() {
    clearTimeout(timer);
    timer = undefined;
    if (waiting.length > 0) onEntries(waiting);
    waiting = [];
  }

  /** @param {LogEntry[]} entries */
  function add(entries) {
    waiting = waiting.concat(entries);
    timer ??= setTimeout(flush, GATHER_MS);
  }

  return { add, flush };
}
