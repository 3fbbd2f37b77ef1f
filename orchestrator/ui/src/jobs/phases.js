/** The life of a job as a row of phases, from its history. */

import { whyRequeued } from "../events/describe.js";

/** @typedef {import("../api/types.js").EventBody} EventBody */

/**
 * @typedef {object} Phase
 * @property {"queued" | "claimed" | "running" | "cancelling"} kind
 * @property {number} attempt 0 before the first claim
 * @property {string | null} runner
 * @property {string} from
 * @property {string | null} to null while it goes on
 * @property {string | null} failure how its attempt ended, if the job was queued again after it
 */

/**
 * @typedef {object} Life
 * @property {Phase[]} phases
 * @property {{ status: import("../api/types.js").JobStatus, at: string } | null} end
 */

/** What begins with an event. */
const BEGINS = {
  "job.launched": "queued",
  "job.claimed": "claimed",
  "job.started": "running",
  "job.requeued": "queued",
  "job.cancel_requested": "cancelling",
};

/** What ends with one. */
const ENDS = {
  "job.completed": (/** @type {Record<string, any>} */ payload) => payload.status,
  "job.cancelled": () => "Cancelled",
  "job.timed_out": () => "TimedOut",
};

/**
 * @param {EventBody[]} events the history of one job
 * @returns {Life}
 */
export function lifeOf(events) {
  /** @type {Life} */
  const life = { phases: [], end: null };
  for (const { type, payload, recorded_at: at } of events) {
    const kind = BEGINS[/** @type {keyof typeof BEGINS} */ (type)];
    const ended = ENDS[/** @type {keyof typeof ENDS} */ (type)];
    const current = life.phases.at(-1);
    if (!kind && !ended) continue;
    if (current) current.to ??= at;
    if (current && type === "job.requeued") current.failure = whyRequeued(payload);
    if (ended) {
      life.end = { status: ended(payload), at };
    } else {
      const runner = kind === "queued" ? null : payload.runner_id;
      const attempt = payload.attempt ?? current?.attempt ?? 0;
      life.phases.push({
        kind: /** @type {Phase["kind"]} */ (kind),
        attempt,
        runner,
        from: at,
        to: null,
        failure: null,
      });
    }
  }
  return life;
}
