import { html } from "../html.js";
/** @param {{ projection: string, onChange: () => void }} props */
export function Parked({ projection }) {
  return html`${projection}`;
}
