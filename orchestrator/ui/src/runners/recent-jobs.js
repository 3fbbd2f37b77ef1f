/** The jobs of the last hours, from which follows how busy the runners were. */

import { useEffect, useState } from "preact/hooks";

import { ApiError, getPages, query } from "../api/client.js";
import { coalesced } from "../live/coalesced.js";
import { serverNow } from "../live/server-time.js";

/** @typedef {import("../api/types.js").Job} Job */

/**
 * @typedef {object} Recent
 * @property {Job[]} jobs
 * @property {boolean} isWhole whether these are all
 */

export const HOURS = 6;
const HOUR_MS = 3_600_000;
/** A job that was requested before may have run within: this much earlier is looked at too. */
const EARLIER_HOURS = 2;
const PAGE = 1_000;
const MAX_PAGES = 5;
const EVERY_MS = 60_000;

/** @returns {import("../live/use-resource.js").Resource<Recent>} */
export function useRecentJobs() {
  const [data, setData] = useState(/** @type {Recent | undefined} */ (undefined));
  const [error, setError] = useState(/** @type {ApiError | null} */ (null));
  useEffect(() => {
    const aborter = new AbortController();
    const refresh = coalesced(async () => {
      try {
        setData(await load(aborter.signal));
        setError(null);
      } catch (failure) {
        if (aborter.signal.aborted) return;
        if (!(failure instanceof ApiError)) throw failure;
        setError(failure);
      }
    });
    refresh.soon();
    const timer = setInterval(refresh.soon, EVERY_MS);
    return () => {
      aborter.abort();
      clearInterval(timer);
      refresh.cancel();
    };
  }, []);
  return { data, error, isStale: false, next: null, reload: () => {} };
}

/**
 * @param {AbortSignal} signal
 * @returns {Promise<Recent>}
 */
async function load(signal) {
  const since = new Date(serverNow() - (HOURS + EARLIER_HOURS) * HOUR_MS).toISOString();
  const { body: jobs, next } = /** @type {import("../api/client.js").Answer<Job[]>} */ (
    await getPages(`/api/jobs${query({ since, limit: PAGE })}`, MAX_PAGES, { signal })
  );
  return { jobs, isWhole: next === null };
}
