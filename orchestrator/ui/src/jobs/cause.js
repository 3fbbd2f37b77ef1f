/** Why a job ended as it did, in few words. */

import { html } from "../html.js";

/** @typedef {import("../api/types.js").Job} Job */

/** @param {{ job: Job }} props */
export function Cause({ job }) {
  const cause = causeOf(job);
  return cause && html`<span class="quiet cause" title=${cause}>${cause}</span>`;
}

/**
 * @param {Job} job
 * @returns {string | null | undefined}
 */
function causeOf({ status, reason, result }) {
  if (reason) return reason;
  return status === "Failed" && result ? result.error_message || `exit code ${result.exit_code}` : null;
}
