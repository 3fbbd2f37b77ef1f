/**
 * The one stream of events of this page: whoever shows something listens here, nobody polls by himself.
 *
 * It is closed while the page is hidden, and begins anew from the present when it is seen again; what was missed in
 * between is told as a gap, on which listeners load what they show once more.
 */

import { ApiError, get } from "../api/client.js";

/** @typedef {import("../api/types.js").EventBody} EventBody */

/** @typedef {"connecting" | "live" | "paused" | "away"} FeedState */

/**
 * @typedef {object} Listener
 * @property {(event: EventBody) => void} [onEvent]
 * @property {() => void} [onGap] events may have been missed
 * @property {(state: FeedState) => void} [onState]
 */

/**
 * What changes a list or a page. Log lines and heartbeats are left out: they are many, and shown elsewhere. A test names
 * every event that is neither here nor left out.
 */
const TYPES = [
  "job.launched",
  "job.claimed",
  "job.started",
  "job.lease_shown",
  "job.lease_expired",
  "job.requeued",
  "job.cancel_requested",
  "job.report_refused",
  "job.completed",
  "job.cancelled",
  "job.timed_out",
  "job.purged",
  "pipeline.created",
  "pipeline.revised",
  "pipeline.deleted",
  "runner.registered",
  "runner.lost",
  "runner.returned",
  "runner.removed",
];

const STREAM = `/api/events/stream?type=${TYPES.join(",")}`;
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 15_000;

/** @type {Set<Listener>} */
const listeners = new Set();
/** @type {EventSource | null} */
let source = null;
/** @type {FeedState} */
let state = "connecting";
let position = 0;
let retryMs = FIRST_RETRY_MS;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let retryTimer;

/** @returns {FeedState} */
export function feedState() {
  return state;
}

/** @returns {number} the last position that is known to be there since the stream was opened; 0 before the first */
export function lastPosition() {
  return position;
}

/**
 * @param {Listener} listener
 * @returns {() => void} stops it
 */
export function listen(listener) {
  if (listeners.size === 0) start();
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) stop();
  };
}

function start() {
  document.addEventListener("visibilitychange", followVisibility);
  followVisibility();
}

function stop() {
  document.removeEventListener("visibilitychange", followVisibility);
  disconnect("connecting");
}

function followVisibility() {
  if (document.hidden) disconnect("paused");
  else connect();
}

function connect() {
  if (source) return;
  setState("connecting");
  const opened = new EventSource(STREAM);
  source = opened;
  source.onopen = async () => {
    retryMs = FIRST_RETRY_MS;
    setState("live");
    // The server may have come back with another log, in which that position is yet to come.
    position = 0;
    const last = await head().catch(withoutIt);
    if (source !== opened) return;
    position = Math.max(position, last);
    // Also at first: what was loaded before it was open may be older than the stream.
    listeners.forEach((listener) => listener.onGap?.());
  };
  source.onmessage = (message) => {
    const event = /** @type {EventBody} */ (JSON.parse(message.data));
    position = event.position;
    listeners.forEach((listener) => listener.onEvent?.(event));
  };
  source.onerror = () => {
    disconnect("away");
    retryTimer = setTimeout(connect, retryMs);
    retryMs = Math.min(retryMs * 2, LAST_RETRY_MS);
  };
}

/**
 * @param {AbortSignal} [signal]
 * @returns {Promise<number>} the last position there is
 */
export async function head(signal) {
  const first = /** @type {{ body: { head: number } }} */ (await get("/api/events?limit=1", { signal }));
  return first.body.head;
}

/** Then an answer may be older than the stream, but there is one. @param {unknown} failure */
function withoutIt(failure) {
  if (!(failure instanceof ApiError)) throw failure;
  return 0;
}

/** @param {FeedState} next */
function disconnect(next) {
  clearTimeout(retryTimer);
  source?.close();
  source = null;
  setState(next);
}

/** @param {FeedState} next */
function setState(next) {
  if (next === state) return;
  state = next;
  listeners.forEach((listener) => listener.onState?.(state));
}
