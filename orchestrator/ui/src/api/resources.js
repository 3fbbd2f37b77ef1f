/** What pages show of the API: every resource with its address and its type. */

import { useResource } from "../live/use-resource.js";
import { query } from "./client.js";

/**
 * @template T
 * @typedef {import("../live/use-resource.js").Resource<T>} Resource
 */

/** @typedef {import("../live/use-resource.js").Refreshing} Refreshing */
/** @typedef {import("./types.js").EventBody} EventBody */

/** A list that is shown as one has so many rows at most. */
const WHOLE = { limit: 1_000, pages: 10 };

/** @param {EventBody} event */
export const isOfJobs = (event) => event.stream_type === "job";
/** @param {EventBody} event */
export const isOfPipelines = (event) => event.stream_type === "pipeline";

/**
 * @param {Refreshing} refreshing
 * @returns {Resource<import("./types.js").Stats>}
 */
export function useStats(refreshing) {
  return useResource("/api/stats", refreshing);
}

/**
 * @param {number} minutes
 * @param {Refreshing} refreshing
 * @returns {Resource<import("./types.js").StatsPoint[]>}
 */
export function useStatsHistory(minutes, refreshing) {
  return useResource(`/api/stats/history${query({ minutes })}`, refreshing);
}

/**
 * @param {Record<string, string | number | null>} filter
 * @param {Refreshing} refreshing
 * @returns {Resource<import("./types.js").Job[]>}
 */
export function useJobs(filter, refreshing) {
  return useResource(`/api/jobs${query(filter)}`, refreshing);
}

/**
 * @param {Refreshing} refreshing
 * @returns {Resource<import("./types.js").Job[]>}
 */
export function useRunningJobs(refreshing) {
  return useWhole("/api/jobs", { status: "Running" }, refreshing);
}

/**
 * @param {string} pipelineId
 * @param {number} limit
 * @returns {Resource<import("./types.js").Job[]>}
 */
export function useJobsOfPipeline(pipelineId, limit) {
  const on = (/** @type {EventBody} */ event) => isOfJobs(event) && event.payload.pipeline_id === pipelineId;
  return useResource(`/api/jobs/pipeline/${encodeURIComponent(pipelineId)}${query({ limit })}`, { on });
}

/**
 * @param {string} id
 * @param {number | undefined} everyMs
 * @returns {Resource<import("./types.js").Job>}
 */
export function useJob(id, everyMs) {
  return useResource(`/api/jobs/${encodeURIComponent(id)}`, { on: isAbout(id), everyMs });
}

/**
 * The history of a job, with how the job stood after each event.
 * @param {string} id
 * @returns {Resource<import("./types.js").JobHistory>}
 */
export function useJobHistory(id) {
  return useResource(`/api/jobs/${encodeURIComponent(id)}/events?states=true`, { on: isAbout(id) });
}

/** @returns {Resource<import("./types.js").Pipeline[]>} */
export function usePipelines() {
  return useWhole("/api/pipeline/list", {}, { on: isOfPipelines });
}

/**
 * @param {string} id
 * @returns {Resource<import("./types.js").Pipeline>}
 */
export function usePipeline(id) {
  return useResource(`/api/pipeline/${encodeURIComponent(id)}`, { on: isAbout(id) });
}

/**
 * @param {string} id
 * @returns {Resource<import("./types.js").Version[]>}
 */
export function useVersions(id) {
  return useResource(`/api/pipeline/${encodeURIComponent(id)}/versions`, { on: isAbout(id), pages: WHOLE.pages });
}

/**
 * @param {string} id
 * @param {{ from: number, to: number }} versions
 * @returns {Resource<import("./types.js").VersionDiff>}
 */
export function useVersionDiff(id, versions) {
  return useResource(`/api/pipeline/${encodeURIComponent(id)}/diff${query(versions)}`);
}

/**
 * @param {Refreshing} refreshing
 * @returns {Resource<import("./types.js").Runner[]>}
 */
export function useRunners(refreshing) {
  return useWhole("/api/runners", {}, refreshing);
}

/**
 * @param {Refreshing} refreshing
 * @returns {Resource<import("./types.js").Projection[]>}
 */
export function useProjections(refreshing) {
  return useResource("/api/projections", refreshing);
}

/**
 * @param {string} projection
 * @param {Refreshing} refreshing
 * @returns {Resource<import("./types.js").ParkedStream[]>}
 */
export function useParked(projection, refreshing) {
  return useResource(`/api/projections/${projection}/parked`, refreshing);
}

/**
 * @template T
 * @param {string} path
 * @param {Record<string, string>} filter
 * @param {Refreshing} refreshing
 * @returns {Resource<T>}
 */
function useWhole(path, filter, refreshing) {
  return useResource(path + query({ ...filter, limit: WHOLE.limit }), { ...refreshing, pages: WHOLE.pages });
}

/** @param {string} id of a stream */
function isAbout(id) {
  return (/** @type {EventBody} */ event) => event.stream_id === id;
}
