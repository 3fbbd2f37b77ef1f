/**
 * The one stream of events of this page: whoever shows something listens here, nobody polls by himself.
 *
 * It is closed while the page is hidden, and begins anew from the present when it is seen again; what was missed in
 * between is told as a gap, on which listeners load what they show once more.
 */

import { get } from "../api/client.js";
import { Connection } from "./connection.js";

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

/** @type {Set<Listener>} */
const listeners = new Set();
/** @type {FeedState} */
let state = "connecting";
let position = 0;
const connection = new Connection({ begin, onError: retry, onHidden: () => leave("paused") });

/** @returns {FeedState} */
export function feedState() {
  return state;
}

/** @returns {number} the last position that is known to be there; 0 while none is */
export function lastPosition() {
  return position;
}

/**
 * @param {Listener} listener
 * @returns {() => void} stops it
 */
export function listen(listener) {
  if (listeners.size === 0) connection.start();
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    connection.stop();
    setState("connecting");
  };
}

/** @param {AbortSignal} signal */
async function begin(signal) {
  // Each further try is not told: it would be read aloud every time.
  if (state !== "away") setState("connecting");
  position = await head(signal);
  if (signal.aborted) return;
  const source = connection.listen(`${STREAM}&after=${position}`);
  source.onopen = () => setState("live");
  source.onmessage = (message) => {
    const event = /** @type {EventBody} */ (JSON.parse(message.data));
    position = event.position;
    listeners.forEach((listener) => listener.onEvent?.(event));
  };
  source.onerror = () => {
    source.close();
    retry();
  };
  // Also at first: what was loaded before may be older than the stream.
  listeners.forEach((listener) => listener.onGap?.());
}

/** Begins anew in a moment. */
function retry() {
  leave("away");
  connection.retry();
}

/**
 * Forgets the position: when the server is seen again, it may have another log, in which that position is yet to come.
 *
 * @param {FeedState} next
 */
function leave(next) {
  position = 0;
  setState(next);
}

/**
 * @param {AbortSignal} [signal]
 * @returns {Promise<number>} the last position there is
 */
export async function head(signal) {
  const first = /** @type {{ body: { head: number } }} */ (await get("/api/events?limit=1", { signal }));
  return first.body.head;
}

/** @param {FeedState} next */
function setState(next) {
  if (next === state) return;
  state = next;
  listeners.forEach((listener) => listener.onState?.(state));
}
