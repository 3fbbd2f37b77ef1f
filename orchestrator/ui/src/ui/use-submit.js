/** Sending a form: once at a time, and with what was refused said beside it. */

import { useRef, useState } from "preact/hooks";

import { ApiError } from "../api/client.js";
import { navigate } from "../router.js";

/**
 * @typedef {object} Submission
 * @property {string} error why the last one failed; empty where it did not
 * @property {boolean} isSending its button is to say so by `aria-disabled`: one that is disabled loses the focus
 * @property {(event: SubmitEvent) => Promise<void>} submit
 */

/**
 * @param {(form: FormData) => Promise<string | void>} work answers where to go then, if anywhere; fails with an `ApiError`,
 *   or a `SyntaxError` of what was typed
 * @returns {Submission}
 */
export function useSubmit(work) {
  const [error, setError] = useState("");
  const [isSending, setSending] = useState(false);
  const isUnderWay = useRef(false);

  /** @param {SubmitEvent} event */
  async function submit(event) {
    event.preventDefault();
    if (isUnderWay.current) return;
    isUnderWay.current = true;
    setSending(true);
    setError("");
    const { pathname } = window.location;
    try {
      const next = await work(new FormData(/** @type {HTMLFormElement} */ (event.currentTarget)));
      // Whoever has gone to another page meanwhile stays there.
      if (next && window.location.pathname === pathname) navigate(next);
    } catch (failure) {
      if (!(failure instanceof ApiError || failure instanceof SyntaxError)) throw failure;
      setError(failure.message);
    } finally {
      isUnderWay.current = false;
      setSending(false);
    }
  }

  return { error, isSending, submit };
}
