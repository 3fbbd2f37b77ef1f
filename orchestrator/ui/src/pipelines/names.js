/** The names of pipelines, which jobs know by their ids. */

import { isOfPipelines, usePipeline, useStats } from "../api/resources.js";
import { shortId } from "../format.js";

/** @typedef {import("../api/types.js").PipelineStats} PipelineStats */

/** @returns {{ all: PipelineStats[], nameOf: (id: string) => string }} `nameOf` is the end of the id of a deleted one */
export function usePipelineNames() {
  const all = useStats({ on: isOfPipelines }).data?.by_pipeline ?? [];
  const names = new Map(all.map(({ pipeline_id, name }) => [pipeline_id, name]));
  return { all, nameOf: (id) => names.get(id) ?? `…${shortId(id)}` };
}

/**
 * @param {string} id
 * @returns {string} its name, or the end of its id where it was deleted
 */
export function usePipelineName(id) {
  return usePipeline(id).data?.name ?? `…${shortId(id)}`;
}
