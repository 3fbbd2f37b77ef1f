/** The whole log as a text file. */

import { get, query } from "../api/client.js";

/** @typedef {import("../api/types.js").LogEntry} LogEntry */

const PAGE = 10_000;

/** @param {string} jobId */
export async function downloadLog(jobId) {
  const parts = [];
  for (let after = 0, isMore = true; isMore;) {
    const path = `/api/jobs/${encodeURIComponent(jobId)}/logs${query({ after, limit: PAGE })}`;
    const { body } = /** @type {{ body: LogEntry[] }} */ (await get(path));
    // A blob a page: the browser may keep them outside its memory.
    parts.push(new Blob(body.map(({ timestamp, level, message }) => `${timestamp} ${level.padEnd(7)} ${message.trimEnd()}\n`)));
    after = body.at(-1)?.index ?? after;
    isMore = body.length === PAGE;
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(parts, { type: "text/plain" }));
  link.download = `job-${jobId}.log`;
  link.click();
  URL.revokeObjectURL(link.href);
}
