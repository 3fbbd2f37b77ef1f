/** Events in words: what happened, who did it, and through what. */

import { DASHBOARD } from "../api/client.js";
import { counted } from "../format.js";

/** @typedef {import("../api/types.js").EventBody} EventBody */

const EXPIRY = {
  silent: "it was not heard of for the length of its lease",
  not_started: "it showed no sign of a start in time",
  rebooted: "its name came back as another process",
};

const REQUEUE = {
  failed: "failed",
  run_timeout: "ran too long",
  runner_lost: "lost its runner",
};

const PAUSE = {
  failing: "no delivery succeeded for too long",
  gone: "its receiver is gone for good",
  secret_missing: "what it is signed with is lost",
};

/** @type {Record<string, (payload: Record<string, any>) => string>} */
const SENTENCES = {
  "job.launched": (p) =>
    p.retry_of ? `Launched again, as a retry, with priority ${p.priority}` : `Launched with priority ${p.priority}`,
  "job.claimed": (p) => `Attempt ${p.attempt} claimed by ${p.runner_id}`,
  "job.started": (p) => `Attempt ${p.attempt} started on ${p.runner_id}`,
  "job.lease_shown": (p) => `${p.runner_id} echoes the lease of attempt ${p.attempt}`,
  "job.lease_expired": (p) => `Attempt ${p.attempt} lost: ${named(EXPIRY, p.cause)}`,
  "job.requeued": (p) => `Back in the queue: ${whyRequeued(p)}`,
  "job.cancel_requested": (p) => `${p.runner_id} was asked to stop${p.force ? ", by force" : ""}${because(p.reason)}`,
  "job.report_refused": (p) => `A report of ${p.status} was refused: its sender did not hold the job`,
  "job.completed": (p) => `${p.status} in attempt ${p.attempt}${exit(p.result)}${because(p.reason)}`,
  "job.cancelled": (p) => `Cancelled${p.attempt ? ` in attempt ${p.attempt}` : " before it ran"}${because(p.reason)}`,
  "job.timed_out": (p) => `Timed out${because(p.reason)}`,
  "job.purged": () => "About to be purged: it ended too long ago",
  "job_log.appended": (p) => `${counted(p.entries?.length ?? 0, "log line")} stored`,
  "pipeline.created": (p) => `Pipeline ${p.definition?.name ?? ""} created`,
  "pipeline.revised": (p) => `Pipeline ${p.definition?.name ?? ""} revised to version ${p.version}`,
  "pipeline.deleted": () => "Pipeline deleted",
  "runner.registered": (p) => `Runner ${p.runner_id} registered`,
  "runner.heartbeat_recorded": (p) => `Runner ${p.runner_id} is alive`,
  "runner.lost": (p) => `Runner ${p.runner_id} lost`,
  "runner.returned": (p) => `Runner ${p.runner_id} is back`,
  "runner.removed": (p) => `Runner ${p.runner_id} removed`,
  "claim.answered": (p) => `A claim of ${p.runner_id} was answered`,
  "group.place_taken": (p) => `A place of the group ${p.group} was taken`,
  "projection.rebuild_requested": (p) => `Projection ${p.projection} is to be rebuilt${because(p.reason)}`,
  "projection.event_skipped": (p) => `Projection ${p.projection} skips the event ${p.position}${because(p.reason)}`,
  "projection.stream_retried": (p) => `Projection ${p.projection} tries its parked streams again${because(p.reason)}`,
  "webhook.created": (p) => `Webhook to ${p.url} created`,
  "webhook.paused": (p) => `Webhook paused at the event ${p.position}, since ${named(PAUSE, p.cause)}${because(p.error)}`,
  "webhook.resumed": () => "Webhook resumed",
  "webhook.deleted": () => "Webhook deleted",
  "archive.segment_archived": (p) => `${counted(p.logs, "log")} archived in segment ${p.segment}`,
  "archive.segment_released": (p) => `Segment ${p.segment} alone has its logs`,
  "archive.segment_removed": (p) => `Segment ${p.segment} is not kept any more`,
  "archive.purge_begun": () => "Jobs that ended too long ago are being purged",
  "archive.jobs_purged": (p) => `${counted(p.jobs, "job")} purged, ${counted(p.events, "event")} deleted`,
  "group.place_freed": (p) => `A place of the group ${p.group} was freed`,
};

/** Every type of event that the dashboard knows. */
export const EVENT_TYPES = Object.keys(SENTENCES);

/**
 * @param {EventBody} event
 * @returns {string} what happened
 */
export function describe(event) {
  return SENTENCES[event.type]?.(event.payload) ?? event.type;
}

/**
 * @param {Record<string, any>} payload of `job.requeued`
 * @returns {string} how the attempt ended
 */
export function whyRequeued({ attempt, cause, result }) {
  return `attempt ${attempt} ${named(REQUEUE, cause)}${exit(result)}`;
}

/**
 * @param {Pick<EventBody, "metadata">} event
 * @returns {string} who did it
 */
export function actorOf({ metadata }) {
  const [kind, name] = split(metadata.actor ?? "", ":");
  if (kind === "runner") return `runner ${name}`;
  if (kind === "process") return `the server (${name?.replaceAll("_", " ")})`;
  if (kind === "client") return metadata.request_id?.startsWith(DASHBOARD) ? "somebody at the dashboard" : "an API client";
  return metadata.actor || "unknown";
}

/**
 * @param {string} text
 * @param {string} separator
 * @returns {[string, string | undefined]}
 */
function split(text, separator) {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

/**
 * @param {Record<string, string>} words
 * @param {string} cause
 */
function named(words, cause) {
  return words[cause] ?? cause;
}

/** @param {string | null | undefined} reason */
function because(reason) {
  return reason ? `: ${reason}` : "";
}

/** @param {import("../api/types.js").JobResult | undefined} result */
function exit(result) {
  return result ? ` with exit code ${result.exit_code}${because(result.error_message)}` : "";
}
