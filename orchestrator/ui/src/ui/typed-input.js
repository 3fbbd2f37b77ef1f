/** A field that is heard when it is left, or with Enter. */

import { useEffect, useState } from "preact/hooks";

import { html } from "../html.js";

/**
 * What is typed is its own until then: meanwhile the page may be drawn anew.
 * @param {{ value: string, onValue: (value: string) => void, type?: string, placeholder?: string }} props
 */
export function TypedInput({ value, onValue, ...others }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  return html`<input
    ...${others}
    value=${text}
    autocomplete="off"
    onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)}
    onChange=${() => onValue(text.trim())}
  />`;
}
