/** The newest events that pass a filter, as they come; or those around a position, as they were. */

import { useEffect, useRef, useState } from "preact/hooks";

import { ApiError, get, query } from "../api/client.js";
import { readJson } from "../api/json.js";
import { lookBack } from "./look-back.js";

/** @typedef {import("../api/types.js").EventBody} EventBody */

/** @typedef {{ type: string, stream_type: string, stream_id: string }} Filter */

/** @typedef {{ after: number } | { before: number } | null} Place what is shown is after or before it; null: the present */

/**
 * @typedef {object} Tail
 * @property {EventBody[] | undefined} events newest first
 * @property {ApiError | null} error
 * @property {boolean} isLooking whether older ones are still looked for
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
 * @param {Filter} filter
 * @param {Place} place
 * @returns {Tail}
 */
export function useTail(filter, place) {
  const [events, setEvents] = useState(/** @type {EventBody[] | undefined} */ (undefined));
  const [older, setOlder] = useState(/** @type {Older} */ (null));
  const [error, setError] = useState(/** @type {ApiError | null} */ (null));
  const [isPaused, setPaused] = useState(false);
  const [held, setHeld] = useState(/** @type {EventBody[]} */ ([]));
  const [missed, setMissed] = useState(0);
  const paused = useRef(false);
  paused.current = isPaused;
  const wanted = query(filter) + JSON.stringify(place);

  useEffect(() => {
    setEvents(undefined);
    forget();
    return tail(filter, place, {
      onStart: (first, rest) => {
        setError(null);
        setEvents(first);
        setOlder(rest);
        forget();
      },
      onOlder: (more, rest) => {
        setEvents((known = []) => [...known, ...more]);
        setOlder(rest);
      },
      onMore: (more) => {
        if (!paused.current) return setEvents((known) => joined(more, known));
        setHeld((known) => joined(more, known));
        setMissed((count) => count + more.length);
      },
      onError: setError,
    });
    // Both are new objects each time; their text is what counts.
  }, [wanted]);

  function forget() {
    setHeld([]);
    setMissed(0);
  }

  function togglePause() {
    if (isPaused) {
      setEvents((known) => joined(held, known));
      forget();
    }
    setPaused(!isPaused);
  }

  // Of those that came, the oldest give way.
  const before = events?.length === MAX_KEPT ? (events.at(-1)?.position ?? null) : older;
  const address = typeof before === "number" && before > 1 ? `/events${query({ ...filter, before })}` : null;
  return { events, error, isLooking: older === "looking", isPaused, missed, older: address, togglePause };
}

/**
 * @param {EventBody[]} newer
 * @param {EventBody[]} [older]
 */
function joined(newer, older = []) {
  return [...newer, ...older].slice(0, MAX_KEPT);
}

/** @typedef {number | "looking" | null} Older a position that there may be others before; null where there are none */

/**
 * @typedef {object} TailReader
 * @property {(events: EventBody[], older: Older) => void} onStart newest first, as always here
 * @property {(events: EventBody[], older: Older) => void} onOlder
 * @property {(events: EventBody[]) => void} onMore newer ones
 * @property {(error: ApiError) => void} onError it is tried again by itself where that may help
 */

/**
 * @param {Filter} filter
 * @param {Place} place
 * @param {TailReader} reader
 * @returns {() => void} stops it
 */
function tail(filter, place, { onStart, onOlder, onMore, onError }) {
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
      if (place && "after" in place) await beginAfter(place.after, signal);
      else await beginBefore(place ? place.before - 1 : await head(signal), signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      onError(error);
      clearTimeout(timer);
      timer = error.isRefusal ? undefined : setTimeout(restart, RETRY_MS);
    }
  }

  /** @param {number} after @param {AbortSignal} signal */
  async function beginAfter(after, signal) {
    const path = `/api/events${query({ ...filter, after, limit: PAGE })}`;
    const { body } = /** @type {{ body: { events: EventBody[] } }} */ (await get(path, { signal }));
    onStart(body.events.toReversed(), after > 0 ? after + 1 : null);
  }

  /** @param {number} end @param {AbortSignal} signal */
  async function beginBefore(end, signal) {
    let count = 0;
    let tell = onStart;
    for await (const { events, start } of lookBack(filter, { end, signal })) {
      const told = events.toReversed().slice(0, PAGE - count);
      count += told.length;
      const last = count === PAGE ? (told.at(-1)?.position ?? start) : null;
      tell(told, last ?? (start > 0 ? "looking" : null));
      if (tell === onStart && place === null) listen(end);
      tell = onOlder;
      if (count === PAGE) return;
    }
    if (tell === onOlder) return;
    onStart([], null);
    if (place === null) listen(end);
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
