/** A field that is heard when it is left, or with Enter. */

import { useEffect, useRef, useState } from "preact/hooks";

import { html } from "../html.js";

/**
 * What is typed is its own until it is told: meanwhile the page may be drawn anew, and the typing may go on.
 * @param {string} value
 * @param {(value: string) => void} onValue
 */
export function useTyped(value, onValue) {
  const [text, setText] = useState(value);
  const told = useRef(value);
  useEffect(() => {
    if (value === told.current) return;
    told.current = value;
    setText(value);
  }, [value]);
  function tell() {
    told.current = text.trim();
    onValue(told.current);
  }
  return { text, setText, tell };
}

/**
 * @param {{ value: string, onValue: (value: string) => void, type?: string, placeholder?: string }} props
 */
export function TypedInput({ value, onValue, ...others }) {
  const { text, setText, tell } = useTyped(value, onValue);
  return html`<input
    ...${others}
    value=${text}
    autocomplete="off"
    onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)}
    onChange=${tell}
  />`;
}
