/** Follows the feed while it is looked at: first the newest events, or those at a place, then each as it comes. */

import { ApiError, get, query } from "../api/client.js";
import { readJson } from "../api/json.js";
import { head } from "../live/feed.js";
import { lookBack } from "./look-back.js";

/** @typedef {import("../api/types.js").EventBody} EventBody */

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
const RETRY_MS = 3_000;

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
    this.aborter = new AbortController();
    /** @type {EventSource | null} */
    this.source = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    /** @type {EventBody[]} */
    this.gathered = [];
    document.addEventListener("visibilitychange", this.restart);
    this.restart();
  }

  stop() {
    document.removeEventListener("visibilitychange", this.restart);
    this.pause();
  }

  restart = () => {
    this.pause();
    if (document.hidden) return;
    this.aborter = new AbortController();
    void this.begin();
  };

  pause() {
    this.aborter.abort();
    this.source?.close();
    clearTimeout(this.timer);
    this.timer = undefined;
    this.gathered = [];
  }

  async begin() {
    const { place } = this;
    const { signal } = this.aborter;
    try {
      if (place && "after" in place) await this.beginAfter(place.after, signal);
      else await this.beginBefore(place ? place.before - 1 : await head(signal), signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      this.reader.onError(error);
      clearTimeout(this.timer);
      this.timer = error.isRefusal ? undefined : setTimeout(this.restart, RETRY_MS);
    }
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
      if (tell === onStart && this.place === null) this.listen(end);
      tell = onOlder;
      if (count === PAGE) return;
    }
    if (tell === onOlder) return;
    onStart([], null);
    if (this.place === null) this.listen(end);
  }

  /** @param {number} from */
  listen(from) {
    const source = new EventSource(`/api/events/stream${query({ ...this.filter, after: from })}`);
    this.source = source;
    source.onmessage = (message) => {
      this.gathered.unshift(readJson(message.data));
      this.gathered.length = Math.min(this.gathered.length, MAX_KEPT);
      this.timer ??= setTimeout(this.flush, GATHER_MS);
    };
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) this.timer ??= setTimeout(this.restart, RETRY_MS);
    };
  }

  flush = () => {
    this.timer = undefined;
    this.reader.onMore(this.gathered);
    this.gathered = [];
  };
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
