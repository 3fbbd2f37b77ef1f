/** Follows the feed while it is looked at: first the newest events, or those at a place, then each as it comes. */

import { get, query } from "../api/client.js";
import { readJson } from "../api/json.js";
import { Connection } from "../live/connection.js";
import { head } from "../live/feed.js";
import { lookBack } from "./look-back.js";

/** @typedef {import("../api/types.js").EventBody} EventBody */
/** @typedef {import("../api/client.js").ApiError} ApiError */

/** @typedef {{ type: string, stream_type: string, stream_id: string }} Filter */

/** @typedef {{ after: number } | { before: number } | null} Place what is shown is after or before it; null: the present */

/** @typedef {number | "looking" | null} Older a position that there may be others before; null where there are none */

/**
 * @typedef {object} Reader
 * @property {(events: EventBody[], older: Older) => void} onStart newest first, as always here
 * @property {(events: EventBody[], older: Older) => void} onOlder
 * @property {(events: EventBody[]) => void} onMore newer ones
 * @property {(error: ApiError) => void} onError it is tried again by itself where that may help
 */

/** Events that are kept while they come. */
export const MAX_KEPT = 500;
/** Events of one page. */
const PAGE = 100;
/** Events that arrive within this time are shown together. */
const GATHER_MS = 500;

export class EventFollower {
  /**
   * @param {Filter} filter
   * @param {Place} place
   * @param {Reader} reader
   */
  constructor(filter, place, reader) {
    this.filter = filter;
    this.place = place;
    this.reader = reader;
    this.connection = new Connection({ begin: (signal) => this.begin(signal), onError: (error) => this.fail(error) });
    this.connection.start();
  }

  stop() {
    this.connection.stop();
  }

  /** @param {AbortSignal} signal */
  async begin(signal) {
    const { place } = this;
    if (place && "after" in place) await this.beginAfter(place.after, signal);
    else await this.beginBefore(place ? place.before - 1 : await head(signal), signal);
  }

  /** @param {ApiError} error */
  fail(error) {
    this.reader.onError(error);
    if (!error.isRefusal) this.connection.retry();
  }

  /** @param {number} after @param {AbortSignal} signal */
  async beginAfter(after, signal) {
    let page = await pageAfter(after, this.filter, signal);
    // What passes the filter may be further on than one request looks.
    while (page.events.length === 0 && page.next < page.head) page = await pageAfter(page.next, this.filter, signal);
    this.reader.onStart(page.events.toReversed(), after > 0 ? after + 1 : null);
  }

  /** @param {number} end @param {AbortSignal} signal */
  async beginBefore(end, signal) {
    const { onStart, onOlder } = this.reader;
    let count = 0;
    let tell = onStart;
    for await (const { events, start } of lookBack(this.filter, { end, signal })) {
      const told = events.toReversed().slice(0, PAGE - count);
      count += told.length;
      const last = count === PAGE ? (told.at(-1)?.position ?? start) : null;
      tell(told, last ?? (start > 0 ? "looking" : null));
      if (tell === onStart && this.place === null) this.listen(end, signal);
      tell = onOlder;
      if (count === PAGE) return;
    }
    if (tell === onOlder) return;
    onStart([], null);
    if (this.place === null) this.listen(end, signal);
  }

  /** @param {number} from @param {AbortSignal} signal */
  listen(from, signal) {
    /** @type {EventBody[]} */
    let gathered = [];
    const flush = () => {
      if (!signal.aborted) this.reader.onMore(gathered);
      gathered = [];
    };
    const source = this.connection.listen(`/api/events/stream${query({ ...this.filter, after: from })}`);
    source.onmessage = (message) => {
      if (gathered.length === 0) setTimeout(flush, GATHER_MS);
      gathered.unshift(readJson(message.data));
      gathered.length = Math.min(gathered.length, MAX_KEPT);
    };
  }
}

/**
 * @param {number} after
 * @param {Filter} filter
 * @param {AbortSignal} signal
 * @returns {Promise<{ events: EventBody[], next: number, head: number }>}
 */
async function pageAfter(after, filter, signal) {
  const path = `/api/events${query({ ...filter, after, limit: PAGE })}`;
  const { body } = /** @type {{ body: { events: EventBody[], next: number, head: number } }} */ (await get(path, { signal }));
  return body;
}
