/** Reads the log of a job: by pages up to its present end, from there as it grows. */

import { ApiError, get, query } from "../api/client.js";

/** @typedef {import("../api/types.js").LogEntry} LogEntry */

/** @typedef {"loading" | "live" | "ended" | "paused" | "full"} LogState */

/**
 * @typedef {object} Reader
 * @property {(entries: LogEntry[]) => void} onEntries
 * @property {(state: LogState) => void} onState
 * @property {(error: ApiError) => void} onError it is tried again by itself
 */

/** Entries of one request. */
const PAGE = 5_000;
/** Entries that are loaded unasked: the memory of a browser is not endless. */
const MAX_UNASKED = 200_000;
/** Entries that arrive within this time are shown together. */
const GATHER_MS = 100;
const RETRY_MS = 3_000;

/**
 * @param {string} jobId
 * @param {Reader} reader
 * @returns {{ stop: () => void, goOn: () => void }} `goOn` loads what was too much to be loaded unasked
 */
export function followLog(jobId, { onEntries, onState, onError }) {
  const path = `/api/jobs/${encodeURIComponent(jobId)}/logs`;
  const gathered = gather(onEntries);
  let last = 0;
  let allowed = MAX_UNASKED;
  let hasEnded = false;
  let aborter = new AbortController();
  /** @type {EventSource | null} */
  let source = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let retry;

  async function catchUp() {
    const { signal } = aborter;
    onState("loading");
    try {
      for (let isMore = true; isMore && last < allowed;) {
        const page = /** @type {{ body: LogEntry[] }} */ (await get(path + query({ after: last, limit: PAGE }), { signal }));
        take(page.body);
        isMore = page.body.length === PAGE;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      onError(error);
      retry = setTimeout(catchUp, RETRY_MS);
      return;
    }
    if (signal.aborted) return;
    if (last >= allowed) onState("full");
    else listen();
  }

  function listen() {
    source = new EventSource(`${path}/stream${query({ after: last })}`);
    source.onopen = () => onState("live");
    source.onmessage = (message) => take([JSON.parse(message.data)]);
    source.addEventListener("end", () => {
      hasEnded = true;
      source?.close();
      gathered.flush();
      onState("ended");
    });
    // It comes back by itself after the last entry, unless the server refused it.
    source.onerror = () => {
      if (source?.readyState === EventSource.CLOSED) retry = setTimeout(catchUp, RETRY_MS);
      onState("loading");
    };
  }

  /** @param {LogEntry[]} entries */
  function take(entries) {
    last = entries.at(-1)?.index ?? last;
    gathered.add(entries);
  }

  function pause() {
    aborter.abort();
    clearTimeout(retry);
    source?.close();
    source = null;
  }

  function followVisibility() {
    if (hasEnded) return;
    pause();
    if (document.hidden) {
      onState("paused");
    } else {
      aborter = new AbortController();
      void catchUp();
    }
  }

  document.addEventListener("visibilitychange", followVisibility);
  followVisibility();

  return {
    stop() {
      document.removeEventListener("visibilitychange", followVisibility);
      pause();
      gathered.flush();
    },
    goOn() {
      allowed = last + MAX_UNASKED;
      void catchUp();
    },
  };
}

/** @param {(entries: LogEntry[]) => void} onEntries */
function gather(onEntries) {
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
