/** The jobs of the last hours, from which follows how busy the runners were. */

import { useMemo } from "preact/hooks";

import { query } from "../api/client.js";
import { serverNow } from "../live/server-time.js";
import { useResource } from "../live/use-resource.js";

/** @typedef {import("../api/types.js").Job} Job */

export const HOURS = 6;
const HOUR_MS = 3_600_000;
/** Jobs that were requested earlier may have run within those hours, so they are asked for too. */
export const ASKED_HOURS = HOURS + 2;
const PAGE = 1_000;
const MAX_PAGES = 5;
const EVERY_MS = 60_000;

/** @returns {import("../live/use-resource.js").Resource<Job[]> & { isWhole: boolean }} `isWhole`: whether these are all */
export function useRecentJobs() {
  // Later, more hours than these are asked for: another address would begin anew.
  const since = useMemo(begin, []);
  const path = `/api/jobs${query({ since: new Date(since).toISOString(), limit: PAGE })}`;
  const jobs = /** @type {import("../live/use-resource.js").Resource<Job[]>} */ (
    useResource(path, { everyMs: EVERY_MS, pages: MAX_PAGES })
  );
  const oldest = jobs.data?.at(-1);
  const isWhole = jobs.next === null || (oldest !== undefined && Date.parse(oldest.requested_at) < begin());
  return { ...jobs, isWhole };
}

/** @returns {number} when the first of these jobs may have been requested */
function begin() {
  return serverNow() - ASKED_HOURS * HOUR_MS;
}
