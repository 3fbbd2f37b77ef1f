/** Reads the log of a job: its end, or by pages up to its present end, and from there as it grows. */

import { ApiError, get, query } from "../api/client.js";

/** @typedef {import("../api/types.js").LogEntry} LogEntry */

/** @typedef {"loading" | "live" | "ended" | "paused" | "full"} LogState */

/**
 * @typedef {object} Reader
 * @property {(entries: LogEntry[]) => void} onEntries
 * @property {(entries: LogEntry[]) => void} onEarlier those before the first ones
 * @property {(state: LogState) => void} onState
 * @property {(error: ApiError) => void} onError it is tried again by itself
 */

/** @typedef {{ after: number } | "end"} Start an entry that the reading begins after, or the last ones */

/** Entries of one request. */
const PAGE = 5_000;
/** Entries that are loaded unasked: the memory of a browser is not endless. */
const MAX_UNASKED = 200_000;
/** Entries that arrive within this time are shown together. */
const GATHER_MS = 100;
const RETRY_MS = 3_000;
/** When the log is read again after the job has ended: its runner may still send what it had gathered. */
const AFTER_END_MS = [2_000, 5_000, 15_000, 60_000];

/**
 * @typedef {object} Following
 * @property {() => void} stop
 * @property {() => void} goOn loads what was too much to be loaded unasked
 * @property {() => Promise<void>} goBack loads entries before the first ones
 */

/**
 * @param {string} jobId
 * @param {Start} start
 * @param {Reader} reader
 * @returns {Following}
 */
export function followLog(jobId, start, { onEntries, onEarlier, onState, onError }) {
  const path = `/api/jobs/${encodeURIComponent(jobId)}/logs`;
  const gathered = gather(onEntries);
  /** Index of the first entry that was loaded; 0 where none was. */
  let first = 0;
  let last = start === "end" ? 0 : start.after;
  let allowed = last + MAX_UNASKED;
  let hasEnded = false;
  let isGoingBack = false;
  let aborter = new AbortController();
  /** @type {EventSource | null} */
  let source = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let retry;

  async function catchUp() {
    const { signal } = aborter;
    onState("loading");
    try {
      if (start === "end" && last === 0) await takeEnd(signal);
      await takeOn(signal);
      // The address may name an entry that is not there.
      if (first === 0 && last > 0) await takeEnd(signal);
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

  /** @param {AbortSignal} signal */
  async function takeEnd(signal) {
    const end = /** @type {{ body: LogEntry[] }} */ (await get(path + query({ tail: PAGE }), { signal }));
    last = 0;
    take(end.body);
    allowed = last + MAX_UNASKED;
  }

  /** @param {AbortSignal} signal */
  async function takeOn(signal) {
    for (let isMore = true; isMore && last < allowed;) {
      const page = /** @type {{ body: LogEntry[] }} */ (await get(path + query({ after: last, limit: PAGE }), { signal }));
      take(page.body);
      isMore = page.body.length === PAGE;
    }
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
      readAgain(AFTER_END_MS);
    });
    // It comes back by itself after the last entry, unless the server refused it.
    source.onerror = () => {
      if (source?.readyState === EventSource.CLOSED) retry = setTimeout(catchUp, RETRY_MS);
      onState("loading");
    };
  }

  /** @param {number[]} pauses */
  function readAgain([pause, ...others]) {
    if (pause === undefined) return;
    const { signal } = aborter;
    const read = () =>
      takeOn(signal).then(
        () => readAgain(others),
        () => signal.aborted || readAgain(others),
      );
    retry = setTimeout(read, pause);
  }

  /** @param {LogEntry[]} entries */
  function take(entries) {
    first ||= entries[0]?.index ?? 0;
    last = entries.at(-1)?.index ?? last;
    gathered.add(entries);
  }

  async function goBack() {
    if (isGoingBack) return;
    isGoingBack = true;
    const after = Math.max(0, first - 1 - PAGE);
    const earlier = path + query({ after, limit: first - 1 - after });
    try {
      const page = /** @type {{ body: LogEntry[] }} */ (await get(earlier));
      first = page.body[0]?.index ?? first;
      onEarlier(page.body);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      onError(error);
    } finally {
      isGoingBack = false;
    }
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
    goBack,
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
