/** The definition of a pipeline as a form: the script, and what is said beside it. */

import { useState } from "preact/hooks";

import { ApiError } from "../api/client.js";
import { html } from "../html.js";

/** @typedef {import("../api/types.js").Pipeline} Pipeline */

/**
 * @typedef {object} Definition
 * @property {string} script
 * @property {string} [name]
 * @property {string} [description]
 * @property {string[]} [required_modules]
 * @property {Pipeline["tags"]} [tags]
 * @property {Record<string, unknown>} [config]
 */

/** What a script that is a definition of its own has. */
const STAGES = /\bstages?\b/;

/**
 * @typedef {object} FormProps
 * @property {string} script to begin with
 * @property {Pipeline} [pipeline] what is changed, if something is
 * @property {string} action what the button says
 * @property {(definition: Definition) => Promise<void>} onSave
 * @property {string} back where to go without saving
 */

/** @param {FormProps} props */
export function DefinitionForm({ script, pipeline, action, onSave, back }) {
  const [isWhole, setWhole] = useState(STAGES.test(script));
  const [error, setError] = useState("");
  const [isSending, setSending] = useState(false);

  /** @param {SubmitEvent} event */
  async function save(event) {
    event.preventDefault();
    setSending(true);
    setError("");
    try {
      await onSave(definitionOf(new FormData(/** @type {HTMLFormElement} */ (event.currentTarget)), isWhole, pipeline));
    } catch (failure) {
      if (!(failure instanceof ApiError)) throw failure;
      setError(failure.message);
    } finally {
      setSending(false);
    }
  }

  return html`<form class="form form-wide" onSubmit=${save}>
    <label class="field">Script
      <textarea name="script" class="code" rows="22" spellcheck="false" required defaultValue=${script}></textarea>
      <span class="hint">Lua. What it can use is at <a href="/api/stubs">/api/stubs</a>,
        annotated for editors.</span>
    </label>
    <label class="check">
      <input type="checkbox" checked=${isWhole} onChange=${() => setWhole(!isWhole)} />
      The script says everything: name, inputs, needs and configuration
    </label>
    ${!isWhole && html`<${Beside} pipeline=${pipeline} />`}
    ${error && html`<p class="failure" role="alert">${error}</p>`}
    <div class="actions">
      <a class="button" href=${back}>Back</a>
      <button type="submit" class="primary" disabled=${isSending}>${action}</button>
    </div>
  </form>`;
}

/** @param {{ pipeline: Pipeline | undefined }} props */
function Beside({ pipeline }) {
  const config = pipeline?.config ?? {};
  const environment = Object.entries(config.env_vars ?? {}).map(([name, value]) => `${name}=${value}`);
  return html`<fieldset class="beside">
    <legend>Said beside the script; it wins over what the script says</legend>
    <label class="field">Name
      <input
        name="name"
        required
        autocomplete="off"
        defaultValue=${pipeline?.name} /></label>
    <label class="field">Description
      <input
        name="description"
        autocomplete="off"
        defaultValue=${pipeline?.description ?? ""} /></label>
    <label class="field">Needed capabilities
      <input name="required_modules" autocomplete="off" defaultValue=${pipeline?.required_modules.join(", ")} />
      <span class="hint">With commas between them.</span>
    </label>
    <label class="field">Timeout in seconds
      <input
        name="timeout_seconds"
        type="number"
        min="1"
        max="86400"
        defaultValue=${config.timeout_seconds ?? ""} /></label>
    <label class="field">Retries after a failure
      <input
        name="max_retries"
        type="number"
        min="0"
        defaultValue=${config.max_retries ?? 0} /></label>
    <label class="field">Environment
      <textarea name="env_vars" rows="4" spellcheck="false" defaultValue=${environment.join("\n")}></textarea>
      <span class="hint">NAME=VALUE, one a line.</span>
    </label>
  </fieldset>`;
}

/**
 * @param {FormData} form
 * @param {boolean} isWhole
 * @param {Pipeline | undefined} pipeline what it had and the form does not show stays
 * @returns {Definition}
 */
function definitionOf(form, isWhole, pipeline) {
  const text = (/** @type {string} */ name) => String(form.get(name) ?? "").trim();
  const script = String(form.get("script") ?? "");
  if (isWhole) return { script };
  const timeout = text("timeout_seconds");
  const environment = text("env_vars").split("\n").filter(Boolean).map(assignment);
  return {
    script,
    name: text("name"),
    required_modules: text("required_modules")
      .split(",")
      .map((name) => name.trim())
      .filter(Boolean),
    ...(text("description") && { description: text("description") }),
    ...(pipeline && { tags: pipeline.tags }),
    config: {
      ...pipeline?.config,
      timeout_seconds: timeout ? Number(timeout) : null,
      max_retries: Number(text("max_retries")) || 0,
      env_vars: Object.fromEntries(environment),
    },
  };
}

/**
 * @param {string} line
 * @returns {[string, string]}
 */
function assignment(line) {
  const at = line.indexOf("=");
  return at < 0 ? [line.trim(), ""] : [line.slice(0, at).trim(), line.slice(at + 1)];
}
