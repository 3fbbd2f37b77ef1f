/** The environment of a pipeline as a form: a row for each variable, since a value may have any character and many lines. */

import { useEffect, useRef } from "preact/hooks";

import { html } from "../html.js";

/** @typedef {{ name: string, value: string }} Variable */

/**
 * @param {Record<string, string>} [environment]
 * @returns {Variable[]}
 */
export function variablesOf(environment = {}) {
  return Object.entries(environment).map(([name, value]) => ({ name, value }));
}

/** @param {{ variables: Variable[], onChange: (next: Variable[]) => void }} props */
export function Environment({ variables, onChange }) {
  /** @param {number} place @param {Partial<Variable>} change */
  const set = (place, change) => onChange(variables.map((one, at) => (at === place ? { ...one, ...change } : one)));
  const fields = useFocusKept(variables.length);
  const hasTwice = new Set(variables.map(({ name }) => name)).size < variables.length;
  return html`<fieldset ref=${fields} class="environment">
    <legend>Environment</legend>
    ${variables.map(
      (variable, place) =>
        html`<${Row}
          key=${place}
          variable=${variable}
          place=${place}
          onChange=${(/** @type {Partial<Variable>} */ change) => set(place, change)}
          onRemove=${() => onChange(variables.filter((_, at) => at !== place))}
        />`,
    )}
    ${hasTwice && html`<p class="hint">Two have the same name: the last one counts.</p>`}
    <div>
      <button type="button" onClick=${() => onChange([...variables, { name: "", value: "" }])}>Add a variable</button>
    </div>
  </fieldset>`;
}

/**
 * A row that was asked for has the focus; where the last one had it and is gone, the button that adds one does.
 * @param {number} count of the rows
 */
function useFocusKept(count) {
  const fields = useRef(/** @type {HTMLFieldSetElement | null} */ (null));
  const before = useRef(count);
  useEffect(() => {
    const isLost = count < before.current && document.activeElement === document.body;
    const place = count > before.current ? ".variable:nth-last-child(2) input" : isLost ? ":scope > div:last-child button" : null;
    if (place) /** @type {HTMLElement | null | undefined} */ (fields.current?.querySelector(place))?.focus();
    before.current = count;
  }, [count]);
  return fields;
}

/** @param {{ variable: Variable, place: number, onChange: (change: Partial<Variable>) => void, onRemove: () => void }} props */
function Row({ variable: { name, value }, place, onChange, onRemove }) {
  const called = name || `variable ${place + 1}`;
  return html`<div class="variable">
    <input
      aria-label=${`Name of variable ${place + 1}`}
      placeholder="NAME"
      required
      autocomplete="off"
      spellcheck=${false}
      value=${name}
      onInput=${(/** @type {any} */ event) => onChange({ name: event.currentTarget.value })}
    />
    <textarea
      aria-label=${`Value of ${called}`}
      placeholder="value"
      rows=${Math.min(value.split("\n").length, 8)}
      autocomplete="off"
      spellcheck=${false}
      value=${value}
      onInput=${(/** @type {any} */ event) => onChange({ value: event.currentTarget.value })}
    ></textarea>
    <button type="button" class="quiet-button" aria-label=${`Remove ${called}`} onClick=${onRemove}>Remove</button>
  </div>`;
}
