/** The definition of a pipeline as a form: the script, and what is said beside it. */

import { useRef, useState } from "preact/hooks";

import { html } from "../html.js";
import { useUnsaved } from "../router.js";
import { useSubmit } from "../ui/use-submit.js";
import { check } from "./check.js";
import { Environment, variablesOf } from "./environment.js";

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

/** @typedef {import("./environment.js").Variable} Variable */

/**
 * @typedef {object} FormProps
 * @property {string} script to begin with
 * @property {Pipeline} [pipeline] what is changed, if something is
 * @property {boolean} isWhole whether the script says everything, to begin with
 * @property {boolean} isDefinition whether the script is a definition, to begin with
 * @property {string} action what the button says
 * @property {(definition: Definition) => Promise<string>} onSave answers where to go then
 * @property {string} back where to go without saving
 */

const DROPPED = "What was said beside the script until now is dropped.";
const KEPT =
  "What is said below wins over the script, and needs and tags are added to the script's. " +
  "If you changed one of them in the script, tick the box.";
const ALL_THE_SAME =
  "The script is no definition of a pipeline as it is. Saving it again saves it all the same, and the pipeline then declares no inputs.";

/** @param {FormProps} props */
export function DefinitionForm({ script, pipeline, isWhole: wasWhole, isDefinition, action, onSave, back }) {
  // What was said beside the script is kept until somebody decides.
  const [isWhole, setWhole] = useState(wasWhole);
  const [variables, setVariables] = useState(/** @type {Variable[] | null} */ (null));
  const touched = useRef(/** @type {Set<string>} */ (new Set()));
  const isChanged = useRef(false);
  useUnsaved(() => isChanged.current);
  /** The script that was said to be no definition: it is saved all the same if that is wanted. */
  const refused = useRef("");

  const { error, isSending, submit } = useSubmit(async (form) => {
    const changed = touched.current.has("script") ? String(form.get("script")) : script;
    const beside = isWhole ? {} : besideOf(form, touched.current, variables, pipeline);
    if (!isWhole && isDefinition && changed !== script && changed !== refused.current) {
      const { refusal } = await check(changed);
      refused.current = refusal && changed;
      if (refusal) throw new SyntaxError(`${refusal} ${ALL_THE_SAME}`);
    }
    const next = await onSave({ script: changed, ...beside });
    isChanged.current = false;
    return next;
  });

  /** @param {Variable[]} next */
  function changeVariables(next) {
    isChanged.current = true;
    setVariables(next);
  }

  return html`<form
    class="form form-wide"
    onSubmit=${submit}
    onInput=${(/** @type {any} */ event) => {
      isChanged.current = true;
      touched.current.add(event.target.name);
    }}
  >
    <label class="field">Script
      <textarea name="script" class="code" rows="22" spellcheck=${false} required defaultValue=${script}></textarea>
      <span class="hint">Lua. What it can use is at <a href="/api/stubs">/api/stubs</a>,
        annotated for editors.</span>
    </label>
    <label class="check">
      <input type="checkbox" checked=${isWhole} onChange=${() => setWhole(!isWhole)} />
      The script says everything: name, inputs, needs and configuration
    </label>
    ${pipeline && !(isWhole && wasWhole) && html`<p class="notice" role="status">${isWhole ? DROPPED : KEPT}</p>`}
    <${Beside}
      pipeline=${pipeline}
      isHidden=${isWhole}
      variables=${variables ?? variablesOf(pipeline?.config.env_vars)}
      onVariables=${changeVariables}
    />
    ${error && html`<p class="failure" role="alert">${error}</p>`}
    <div class="actions">
      <a class="button" href=${back}>Back</a>
      <button type="submit" class="primary" aria-disabled=${isSending}>${action}</button>
    </div>
  </form>`;
}

/** @param {{ pipeline: Pipeline | undefined, isHidden: boolean, variables: Variable[], onVariables: (next: Variable[]) => void }} props */
function Beside({ pipeline, isHidden, variables, onVariables }) {
  const config = pipeline?.config ?? {};
  // Hidden, it keeps what was typed.
  return html`<fieldset class="beside" hidden=${isHidden} disabled=${isHidden}>
    <legend>Said beside the script; it wins over what the script says</legend>
    <label class="field">Name
      <input
        name="name"
        required
        autocomplete="off"
        defaultValue=${pipeline?.name} /></label>
    <label class="field">Description
      <textarea name="description" class="prose" rows="2" defaultValue=${pipeline?.description ?? ""}></textarea>
    </label>
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
    <${Environment} variables=${variables} onChange=${onVariables} />
  </fieldset>`;
}

/**
 * What a field shows may be less than what it stands for, such as a name with a comma in a list with commas: what
 * nobody touched stays as it was.
 * @param {FormData} form
 * @param {Set<string>} touched names of fields
 * @param {Variable[] | null} variables null where nobody touched them
 * @param {Pipeline | undefined} pipeline what it had and the form does not show stays too
 * @returns {Omit<Definition, "script">}
 */
function besideOf(form, touched, variables, pipeline) {
  const text = (/** @type {string} */ name) => String(form.get(name) ?? "").trim();
  const config = { ...pipeline?.config };
  if (touched.has("timeout_seconds")) config.timeout_seconds = Number(text("timeout_seconds")) || null;
  if (touched.has("max_retries")) config.max_retries = Number(text("max_retries"));
  if (variables) config.env_vars = Object.fromEntries(variables.map(({ name, value }) => [name, value]));
  const description = touched.has("description") ? text("description") : pipeline?.description;
  const needs = pipeline?.required_modules ?? [];
  return {
    name: pipeline && !touched.has("name") ? pipeline.name : text("name"),
    ...(description && { description }),
    required_modules: touched.has("required_modules") ? namesIn(text("required_modules"), needs) : needs,
    ...(pipeline && { tags: pipeline.tags }),
    config,
  };
}

/**
 * @param {string} text names with commas between them
 * @param {string[]} before those that it was made of
 * @returns {string[]}
 */
function namesIn(text, before) {
  const split = (/** @type {string} */ names) =>
    names
      .split(",")
      .map((name) => name.trim())
      .filter(Boolean);
  const odd = before.find((name) => split(name)[0] !== name);
  if (odd !== undefined) throw new SyntaxError(`Needed capabilities: "${odd}" cannot be written in this list.`);
  return split(text);
}
