/** Replacing the version of a pipeline that was seen, and no newer one that somebody saved meanwhile. */

import { useState } from "preact/hooks";

import { ApiError, get, send } from "../api/client.js";

/** @typedef {import("../api/types.js").Pipeline} Pipeline */

/**
 * @param {string} id
 * @param {number} seen the version that was seen
 * @returns {(method: "POST" | "PUT", path: string, body: unknown) => Promise<Pipeline>} `path`: below that of the pipeline; it
 *   fails where there is a newer version, which the next try then replaces
 */
export function useReplace(id, seen) {
  const pipeline = `/api/pipeline/${encodeURIComponent(id)}`;
  /** The newer version that was told of. */
  const [told, setTold] = useState(0);
  return async (method, path, body) => {
    try {
      return await send(method, pipeline + path, body, { "if-match": `"${told || seen}"` });
    } catch (refusal) {
      if (!(refusal instanceof ApiError) || refusal.code !== "version_changed") throw refusal;
      const current = /** @type {{ body: Pipeline }} */ (await get(pipeline)).body;
      setTold(current.version);
      throw new ApiError(`Somebody saved version ${current.version} meanwhile. Doing it again replaces it.`, refusal);
    }
  };
}
