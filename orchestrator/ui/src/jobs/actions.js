/** What can be done with a job: cancel it while it waits or runs, launch it again once it has ended. */

import { useRef, useState } from "preact/hooks";

import { randomKey, send } from "../api/client.js";
import { html } from "../html.js";
import { announce } from "../ui/announce.js";
import { Confirm } from "../ui/confirm.js";

/** @typedef {import("../api/types.js").Job} Job */

/** @param {{ job: Job, onChange: () => void }} props */
export function JobActions({ job, onChange }) {
  const [asked, setAsked] = useState(/** @type {"cancel" | "retry" | null} */ (null));
  const hasEnded = job.phase === "ended";
  const close = () => setAsked(null);
  return html`${
    hasEnded
      ? html`<button type="button" class="primary" onClick=${() => setAsked("retry")}>
          Retry…
        </button>`
      : html`<button type="button" class="danger" onClick=${() => setAsked("cancel")}>
          Cancel…
        </button>`
  }
  ${asked === "cancel" && html`<${CancelDialog} job=${job} onChange=${onChange} onClose=${close} />`}
  ${asked === "retry" && html`<${RetryDialog} job=${job} onClose=${close} />`}`;
}

/** @param {{ job: Job, onChange: () => void, onClose: () => void }} props */
function CancelDialog({ job, onChange, onClose }) {
  const isRunning = job.status === "Running";
  /** @param {FormData} form */
  async function cancel(form) {
    const reason = String(form.get("reason") ?? "").trim();
    await send("POST", `/api/jobs/${job.id}/cancel`, {
      force: form.has("force"),
      ...(reason && { reason }),
    });
    announce(isRunning ? "The runner is asked to stop." : "The job is cancelled.");
    onChange();
  }
  const hasEnded = job.phase === "ended";
  const consequence = isRunning
    ? `${job.runner_id} is asked to stop, and the job ends when it has.`
    : "It waits, and will not run.";
  return html`<${Confirm}
    title="Cancel this job?"
    action="Cancel the job"
    isDangerous
    isPast=${hasEnded}
    onConfirm=${cancel}
    onClose=${onClose}
  >
    <p role="status">${hasEnded ? "It has ended meanwhile." : consequence}</p>
    <label class="field">Reason <input name="reason" maxlength="500" autocomplete="off" /></label>
    ${isRunning && html`<label class="check"><input type="checkbox" name="force" /> End it without the runner if that does not stop it in time</label>`}
  <//>`;
}

/** @param {{ job: Job, onClose: () => void }} props */
function RetryDialog({ job, onClose }) {
  // One dialog is one launch, also where its answer was lost and it is sent again.
  const key = useRef(randomKey());
  async function retry() {
    const launched = /** @type {Job} */ (
      await send("POST", `/api/jobs/${job.id}/retry`, undefined, { "idempotency-key": key.current })
    );
    announce("A new job was launched.");
    return `/jobs/${launched.id}`;
  }
  return html`<${Confirm} title="Run it again?" action="Launch again" onConfirm=${retry} onClose=${onClose}>
    <p>
      A new job is launched with the same parameters, in the same version (${job.pipeline_version}) of the pipeline. This one stays as it is.
    </p>
  <//>`;
}
