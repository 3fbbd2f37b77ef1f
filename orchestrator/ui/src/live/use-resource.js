/** What a page shows of the API: loaded once, and again when events say that it has changed. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";

import { ApiError, get } from "../api/client.js";
import { lastPosition, listen } from "./feed.js";
import { coalesced } from "./coalesced.js";

/** @typedef {import("../api/types.js").EventBody} EventBody */

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
 */

/**
 * @template T
 * @param {string | null} path nothing is loaded where there is none
 * @param {Refreshing} [refreshing]
 * @returns {Resource<T>}
 */
export function useResource(path, { on, everyMs } = {}) {
  const [shown, setShown] = useState(/** @type {Shown<T>} */ (NOTHING));
  const isAffected = useRef(on);
  isAffected.current = on;
  const loader = useRef(/** @type {(() => void) | null} */ (null));

  useEffect(() => {
    if (!path) return undefined;
    const aborter = new AbortController();
    // What was shown of another path is not an answer for this one.
    setShown((before) => (before.path === path ? before : { ...NOTHING, path }));
    const load = () => loadInto(path, aborter.signal, setShown);
    const refresh = coalesced(load);
    loader.current = refresh.soon;
    const stopListening = listen({
      onEvent: (event) => isAffected.current?.(event) && refresh.soon(),
      onGap: refresh.soon,
    });
    const timer = everyMs ? setInterval(refresh.soon, everyMs) : undefined;
    refresh.soon();
    return () => {
      aborter.abort();
      stopListening();
      refresh.cancel();
      clearInterval(timer);
    };
  }, [path, everyMs]);

  const reload = useCallback(() => loader.current?.(), []);
  const { data, error, isStale, next } = shown.path === path ? shown : /** @type {Shown<T>} */ (NOTHING);
  return { data, error, isStale, next, reload };
}

/**
 * @template T
 * @typedef {{ path: string | null, data: T | undefined, error: ApiError | null, isStale: boolean, next: string | null }} Shown
 */

/** @type {Shown<any>} */
const NOTHING = {
  path: null,
  data: undefined,
  error: null,
  isStale: false,
  next: null,
};

/**
 * @template T
 * @param {string} path
 * @param {AbortSignal} signal
 * @param {(change: (before: Shown<T>) => Shown<T>) => void} setShown
 */
async function loadInto(path, signal, setShown) {
  try {
    // An event may be here before the read models have it.
    const { body, isStale, next } = await get(path, {
      signal,
      minPosition: lastPosition(),
    });
    setShown(() => ({
      path,
      data: /** @type {T} */ (body),
      error: null,
      isStale,
      next,
    }));
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof ApiError)) throw error;
    // What is gone is not shown any more; what cannot be reached is.
    setShown((before) => ({
      ...before,
      path,
      error,
      data: error.status === 404 ? undefined : before.data,
    }));
  }
}
