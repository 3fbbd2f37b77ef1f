/** The newest events that pass a filter, as they come; or those after a position, as they were. */

import { useEffect, useRef, useState } from "preact/hooks";

import { ApiError, get, query } from "../api/client.js";
import { readJson } from "../api/json.js";

/** @typedef {import("../api/types.js").EventBody} EventBody */

/**
 * @typedef {object} Tail
 * @property {EventBody[] | undefined} events newest first
 * @property {ApiError | null} error
 * @property {boolean} isPaused
 * @property {number} missed how many came while it was paused
 * @property {string | null} older address of the events before these
 * @property {() => void} togglePause
 */

/** Events of one page. */
const PAGE = 100;
/** Events that are kept while they come. */
const MAX_KEPT = 500;
/** Events that arrive within this time are shown together. */
const GATHER_MS = 250;
const RETRY_MS = 3_000;

/**
 * @param {{ type: string, stream_type: string, stream_id: string }} filter
 * @param {number | null} after a position; null for the present
 * @returns {Tail}
 */
export function useTail(filter, after) {
  const [events, setEvents] = useState(/** @type {EventBody[] | undefined} */ (undefined));
  const [error, setError] = useState(/** @type {ApiError | null} */ (null));
  const [isPaused, setPaused] = useState(false);
  const [held, setHeld] = useState(/** @type {EventBody[]} */ ([]));
  const paused = useRef(false);
  paused.current = isPaused;
  const wanted = query(filter);

  useEffect(() => {
    setEvents(undefined);
    setHeld([]);
    return tail(filter, after, {
      onStart: (first) => {
        setError(null);
        setEvents(first);
      },
      onMore: (more) => {
        if (paused.current) setHeld((known) => joined(more, known));
        else setEvents((known) => joined(more, known));
      },
      onError: setError,
    });
    // The filter is a new object each time; its text is what counts.
  }, [wanted, after]);

  function togglePause() {
    if (isPaused) {
      setEvents((known) => joined(held, known));
      setHeld([]);
    }
    setPaused(!isPaused);
  }

  const first = events?.at(-1)?.position ?? 0;
  const older = first > 1 ? `/events${query({ ...filter, after: String(Math.max(0, first - 1 - PAGE)) })}` : null;
  return { events, error, isPaused, missed: held.length, older, togglePause };
}

/**
 * @param {EventBody[]} newer
 * @param {EventBody[]} [older]
 */
function joined(newer, older = []) {
  return [...newer, ...older].slice(0, MAX_KEPT);
}

/**
 * @typedef {object} TailReader
 * @property {(events: EventBody[]) => void} onStart
 * @property {(events: EventBody[]) => void} onMore newest first
 * @property {(error: ApiError) => void} onError it is tried again by itself
 */

/**
 * @param {{ type: string, stream_type: string, stream_id: string }} filter
 * @param {number | null} after
 * @param {TailReader} reader
 * @returns {() => void} stops it
 */
function tail(filter, after, { onStart, onMore, onError }) {
  let aborter = new AbortController();
  /** @type {EventSource | null} */
  let source = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @type {EventBody[]} */
  let gathered = [];

  async function begin() {
    const { signal } = aborter;
    try {
      const from = after ?? Math.max(0, (await head(signal)) - PAGE);
      const page = /** @type {{ body: { events: EventBody[], next: number } }} */ (
        await get(`/api/events${query({ ...filter, after: from, limit: PAGE })}`, { signal })
      );
      onStart(page.body.events.toReversed());
      if (after === null) listen(page.body.next);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      onError(error);
      timer = setTimeout(begin, RETRY_MS);
    }
  }

  /** @param {number} from */
  function listen(from) {
    source = new EventSource(`/api/events/stream${query({ ...filter, after: from })}`);
    source.onmessage = (message) => {
      gathered.unshift(readJson(message.data));
      gathered.length = Math.min(gathered.length, MAX_KEPT);
      timer ??= setTimeout(flush, GATHER_MS);
    };
    source.onerror = () => {
      if (source?.readyState === EventSource.CLOSED) timer ??= setTimeout(restart, RETRY_MS);
    };
  }

  function flush() {
    timer = undefined;
    onMore(gathered);
    gathered = [];
  }

  function end() {
    aborter.abort();
    source?.close();
    clearTimeout(timer);
    timer = undefined;
    gathered = [];
  }

  function restart() {
    end();
    if (document.hidden) return;
    aborter = new AbortController();
    void begin();
  }

  document.addEventListener("visibilitychange", restart);
  restart();
  return () => {
    document.removeEventListener("visibilitychange", restart);
    end();
  };
}

/**
 * @param {AbortSignal} signal
 * @returns {Promise<number>} the last position there is
 */
async function head(signal) {
  const first = /** @type {{ body: { head: number } }} */ (await get("/api/events?limit=1", { signal }));
  return first.body.head;
}
