/** Asks before something is done that cannot be undone. */

import { useEffect, useRef } from "preact/hooks";

import { html } from "../html.js";
import { focusHeading } from "./focus.js";
import { useSubmit } from "./use-submit.js";

/**
 * @typedef {object} ConfirmProps
 * @property {string} title the question
 * @property {string} action what the button says
 * @property {boolean} [isDangerous]
 * @property {boolean} [isPast] whether it is too late for it
 * @property {boolean} [endsOpener] whether what opened the dialog is gone once it is done
 * @property {(form: FormData) => Promise<string | void>} onConfirm answers where to go then, if anywhere; a refusal is shown
 *   in the dialog
 * @property {() => void} onClose
 * @property {import("preact").ComponentChildren} [children] the consequences; fields of the form
 */

/** @param {ConfirmProps} props */
export function Confirm({ title, action, isDangerous, isPast, endsOpener, onConfirm, onClose, children }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const { error, isSending, submit } = useSubmit(async (form) => {
    const next = await onConfirm(form);
    const isShown = dialog.current !== null;
    dialog.current?.close();
    if (endsOpener && isShown) focusHeading();
    return next;
  });

  useEffect(() => {
    dialog.current?.showModal();
  }, []);

  // Escape must not take away what is about to be answered.
  const closed = () => (isSending ? dialog.current?.showModal() : onClose());

  return html`<dialog ref=${dialog} class="dialog" aria-labelledby="dialog-title" onClose=${closed}>
    <form onSubmit=${submit}>
      <h2 id="dialog-title">${title}</h2>
      ${children} ${error && html`<p class="failure" role="alert">${error}</p>`}
      <div class="actions">
        <button type="button" disabled=${isSending} onClick=${() => dialog.current?.close()}>
          Back
        </button>
        <button type="submit" class=${isDangerous ? "danger" : "primary"} aria-disabled=${isSending} disabled=${isPast}>${action}</button>
      </div>
    </form>
  </dialog>`;
}
