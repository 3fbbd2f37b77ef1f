/** Launching a job: a field for each declared input, with its default and its options. */

import { useId, useRef, useState } from "preact/hooks";

import { ApiError, randomKey, send } from "../api/client.js";
import { readJson } from "../api/json.js";
import { sentence } from "../format.js";
import { html } from "../html.js";
import { useSubmit } from "../ui/use-submit.js";
import { fieldName, hintOf, parametersOf, presetOf, textOf } from "./values.js";

/** @typedef {import("../api/types.js").Pipeline} Pipeline */
/** @typedef {import("../api/types.js").Input} Input */

/** @param {{ pipeline: Pipeline }} props */
export function LaunchForm({ pipeline }) {
  // One form is one launch, also where its answer was lost and it is sent again.
  const key = useRef(randomKey());
  const inputs = Object.entries(pipeline.inputs);
  const declared = JSON.stringify(pipeline.inputs);
  /** The inputs as they were when typing began. */
  const [begun, setBegun] = useState("");

  const { error, isSending, submit } = useSubmit(async (form) => {
    try {
      const body = bodyOf(pipeline, form);
      const job = /** @type {{ id: string }} */ (
        await send("POST", "/api/pipeline/launch", body, { "idempotency-key": key.current })
      );
      return `/jobs/${job.id}`;
    } catch (failure) {
      // What was refused launched nothing, and the next try is another launch; an answer that was lost may be of one.
      const isLost = failure instanceof ApiError && !failure.isRefusal;
      if (!isLost) key.current = randomKey();
      throw failure;
    }
  });

  return html`<form class="form" onSubmit=${submit} onInput=${() => setBegun(begun || declared)}>
    ${inputs.length === 0 && html`<p class="quiet">This pipeline declares no inputs.</p>`}
    ${inputs.map(([name, input]) => html`<${Field} key=${JSON.stringify([name, input])} name=${name} input=${input} isWrong=${error.startsWith(`Input \`${name}\` `)} />`)}
    <details>
      <summary>More</summary>
      <label class="field">Priority
        <input type="number" name="priority" min="0" max="9" step="1" placeholder=${textOf(pipeline.config.priority ?? 5)} />
        <span class="hint">0 is last, 9 is first.</span>
      </label>
      <label class="field">Further parameters
        <textarea name="further" rows="4" spellcheck=${false} placeholder="{ }"></textarea>
        <span class="hint">A JSON object of parameters that are not declared.</span>
      </label>
    </details>
    ${
      begun &&
      begun !== declared &&
      html`<p class="notice" role="status">
        Version ${pipeline.version} has other inputs than those that you began with. Those that have changed have their defaults again.
      </p>`
    }
    ${error && html`<p class="failure" role="alert">${error}</p>`}
    <div class="actions">
      <button type="submit" class="primary" aria-disabled=${isSending}>Launch</button>
    </div>
  </form>`;
}

/** @param {{ name: string, input: Input, isWrong: boolean }} props */
function Field({ name, input, isWrong }) {
  const hint = useId();
  const isNeeded = input.required === true && input.default === undefined;
  const common = {
    name: fieldName(name),
    required: isNeeded,
    "aria-describedby": hint,
    "aria-invalid": isWrong || undefined,
  };
  return html`<label class="field"><span>${name}${input.required && html` <span class="needed">required</span>`}</span>
    <${Control} input=${input} common=${common} />
    <span class="hint" id=${hint}>${input.description && sentence(input.description)} ${hintOf(input)}</span>
  </label>`;
}

/** @param {{ input: Input, common: Record<string, unknown> }} props */
function Control({ input, common }) {
  const options = input.options ?? (input.type === "bool" ? [true, false] : null);
  const preset = presetOf(input);
  if (options) {
    return html`<select ...${common}>
      ${preset === "" && html`<option value="">–</option>`}
      ${options.map(textOf).map((text) => html`<option key=${text} value=${text} selected=${text === preset}>${text}</option>`)}
    </select>`;
  }
  if (input.type === "number") return html`<input type="number" step="any" ...${common} defaultValue=${preset} />`;
  // A field of one line would lose the others.
  if (preset.includes("\n"))
    return html`<textarea rows=${Math.min(preset.split("\n").length, 8)} ...${common} defaultValue=${preset}></textarea>`;
  return html`<input type="text" autocomplete="off" ...${common} defaultValue=${preset} />`;
}

/**
 * @param {Pipeline} pipeline
 * @param {FormData} form
 */
function bodyOf(pipeline, form) {
  const further = String(form.get("further") ?? "").trim();
  const priority = String(form.get("priority") ?? "");
  const given = further ? jsonObject(further) : {};
  return {
    pipeline_id: pipeline.id,
    parameters: { ...given, ...parametersOf(pipeline.inputs, form) },
    ...(priority && { priority: Number(priority) }),
  };
}

/**
 * @param {string} text
 * @returns {Record<string, unknown>}
 */
function jsonObject(text) {
  let value = null;
  try {
    value = readJson(text);
  } catch {
    // Said below, in words.
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new SyntaxError("Further parameters: this is no JSON object.");
}
