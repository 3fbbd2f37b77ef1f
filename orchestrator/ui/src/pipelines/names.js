/** The names of pipelines, which jobs know by their ids. */

import { shortId } from "../format.js";
import { useResource } from "../live/use-resource.js";

/** @typedef {import("../api/types.js").EventBody} EventBody */
/** @typedef {import("../api/types.js").PipelineStats} PipelineStats */

const isOfPipeline = (/** @type {EventBody} */ event) => event.stream_type === "pipeline";

/** @returns {{ all: PipelineStats[], nameOf: (id: string) => string }} `nameOf` is the end of the id of a deleted one */
export function usePipelineNames() {
  const stats = /** @type {import("../live/use-resource.js").Resource<import("../api/types.js").Stats>} */ (
    useResource("/api/stats", { on: isOfPipeline })
  );
  const all = stats.data?.by_pipeline ?? [];
  const names = new Map(all.map(({ pipeline_id, name }) => [pipeline_id, name]));
  return { all, nameOf: (id) => names.get(id) ?? `…${shortId(id)}` };
}

/**
 * @param {string} id
 * @returns {string} its name, or the end of its id where it was deleted
 */
export function usePipelineName(id) {
  const pipeline = /** @type {import("../live/use-resource.js").Resource<import("../api/types.js").Pipeline>} */ (
    useResource(`/api/pipeline/${id}`, {
      on: (event) => event.stream_id === id,
    })
  );
  return pipeline.data?.name ?? `…${shortId(id)}`;
}
