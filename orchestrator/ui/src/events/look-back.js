/** Looks for events from a position backwards, which the feed itself does not: window by window, each twice as wide. */

import { get, query } from "../api/client.js";

/** @typedef {import("../api/types.js").EventBody} EventBody */

/** Positions of the first window. */
const FIRST_WINDOW = 100;
/** Events of one request at most. */
const MAX_LIMIT = 1_000;

/**
 * @param {Record<string, string>} filter
 * @param {{ end: number, signal: AbortSignal }} where the last position that counts
 * @yields {{ events: EventBody[], start: number }} those after `start` that were not told yet, in order; at last from 0
 * @returns {AsyncGenerator<{ events: EventBody[], start: number }>}
 */
export async function* lookBack(filter, { end, signal }) {
  for (let width = FIRST_WINDOW; end > 0;) {
    const start = Math.max(0, end - width);
    const events = await between(filter, { start, end, signal });
    // Where they are dense, narrower ones are enough.
    width = events ? width * 2 : FIRST_WINDOW;
    if (!events) continue;
    yield { events, start };
    end = start;
  }
}

/**
 * @param {Record<string, string>} filter
 * @param {{ start: number, end: number, signal: AbortSignal }} window
 * @returns {Promise<EventBody[] | null>} null where there are more than one answer holds
 */
async function between(filter, { start, end, signal }) {
  /** @type {EventBody[]} */
  const found = [];
  for (let after = start; after < end;) {
    const path = `/api/events${query({ ...filter, after, limit: MAX_LIMIT })}`;
    const { body } = /** @type {{ body: { events: EventBody[], next: number } }} */ (await get(path, { signal }));
    found.push(...body.events.filter(({ position }) => position <= end));
    if (body.events.length === MAX_LIMIT && body.next < end) return null;
    // Nothing is after the end of the log.
    if (body.next === after) break;
    after = body.next;
  }
  return found;
}
