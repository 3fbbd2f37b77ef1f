/** How much of each slice of time a runner had a job in hand. */

/** @typedef {import("../api/types.js").Job} Job */

/**
 * @param {Job[]} jobs
 * @param {{ from: number, to: number, slices: number, now: number }} span in milliseconds since 1970
 * @returns {Map<string, number[]>} by runner: for each slice from 0 (idle) to 1 (busy all the time)
 */
export function busyness(jobs, { from, to, slices, now }) {
  const width = (to - from) / slices;
  /** @type {Map<string, number[]>} */
  const byRunner = new Map();
  for (const job of jobs) {
    if (!job.runner_id || !job.started_at) continue;
    const shares = byRunner.get(job.runner_id) ?? new Array(slices).fill(0);
    byRunner.set(job.runner_id, shares);
    const begin = Math.max(from, Date.parse(job.started_at));
    const end = Math.min(to, job.completed_at ? Date.parse(job.completed_at) : now);
    for (let slice = Math.floor((begin - from) / width); slice < slices && from + slice * width < end; slice += 1) {
      const overlap = Math.min(end, from + (slice + 1) * width) - Math.max(begin, from + slice * width);
      // A runner can have several jobs at once: more than busy it is not.
      shares[slice] = Math.min(1, shares[slice] + Math.max(0, overlap) / width);
    }
  }
  return byRunner;
}
