/** What a page shows of the API: loaded once, and again when events say that it has changed. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";

import { ApiError, get, getPages } from "../api/client.js";
import { lastPosition, listen } from "./feed.js";
import { coalesced } from "./coalesced.js";

/** @typedef {import("../api/types.js").EventBody} EventBody */

/** When what could not be loaded, or was stale, is asked for again, even if no event says so. */
const RETRY_MS = 5_000;

/**
 * @template T
 * @typedef {object} Resource
 * @property {T | undefined} data the last answer; kept while a newer one is on its way, or fails to come
 * @property {ApiError | null} error why there is no newer one
 * @property {boolean} isStale whether the server said that its read models had not caught up
 * @property {string | null} next path of the next page of a list
 * @property {() => void} reload
 */

/**
 * @typedef {object} Refreshing
 * @property {(event: EventBody) => boolean} [on] whether an event may have changed what is shown
 * @property {number} [everyMs] also without events, for what changes by the clock
 * @property {number} [pages] of a list: so many at most are shown as one
 */

/**
 * @template T
 * @param {string | null} path nothing is loaded where there is none
 * @param {Refreshing} [refreshing]
 * @returns {Resource<T>}
 */
export function useResource(path, { on, everyMs, pages } = {}) {
  const [shown, setShown] = useState(/** @type {Shown<T>} */ (NOTHING));
  const isAffected = useRef(on);
  isAffected.current = on;
  const loader = useRef(/** @type {(() => void) | null} */ (null));

  useEffect(() => {
    if (!path) return undefined;
    const aborter = new AbortController();
    // What was shown of another path is not an answer for this one.
    setShown((before) => (before.path === path ? before : { ...NOTHING, path }));
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let retry;
    const load = async () => {
      clearTimeout(retry);
      const isWorthRepeating = await loadInto(path, pages, aborter.signal, setShown);
      if (isWorthRepeating) retry = setTimeout(refresh.soon, RETRY_MS);
    };
    const refresh = coalesced(load);
    loader.current = refresh.soon;
    const stopListening = listen({ onEvent: (event) => isAffected.current?.(event) && refresh.soon(), onGap: refresh.soon });
    const timer = everyMs ? setInterval(refresh.soon, everyMs) : undefined;
    refresh.soon();
    return () => {
      aborter.abort();
      stopListening();
      refresh.cancel();
      clearInterval(timer);
      clearTimeout(retry);
    };
  }, [path, everyMs, pages]);

  const reload = useCallback(() => loader.current?.(), []);
  const { data, error, isStale, next } = shown.path === path ? shown : /** @type {Shown<T>} */ (NOTHING);
  return { data, error, isStale, next, reload };
}

/**
 * @template T
 * @typedef {{ path: string | null, data: T | undefined, error: ApiError | null, isStale: boolean, next: string | null }} Shown
 */

/** @type {Shown<any>} */
const NOTHING = { path: null, data: undefined, error: null, isStale: false, next: null };

/**
 * @template T
 * @param {string} path
 * @param {number | undefined} pages
 * @param {AbortSignal} signal
 * @param {(change: (before: Shown<T>) => Shown<T>) => void} setShown
 * @returns {Promise<boolean>} whether the answer was stale, or failed to come in a way that may pass
 */
async function loadInto(path, pages, signal, setShown) {
  try {
    // An event may be here before the read models have it.
    const asking = { signal, minPosition: lastPosition() };
    const { body, isStale, next } = await (pages ? getPages(path, pages, asking) : get(path, asking));
    if (signal.aborted) return false;
    setShown(() => ({ path, data: /** @type {T} */ (body), error: null, isStale, next }));
    return isStale;
  } catch (error) {
    if (signal.aborted) return false;
    if (!(error instanceof ApiError)) throw error;
    // What is gone is not shown any more; what cannot be reached is.
    setShown((before) => ({ ...before, path, error, data: error.status === 404 ? undefined : before.data }));
    return error.isUnreachable || error.status >= 500;
  }
}
