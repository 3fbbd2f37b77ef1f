/** What differs between two versions of a pipeline. */

import { html } from "../html.js";
import { Empty } from "../ui/states.js";
import { Table, Cell } from "../ui/parts.js";

/** @typedef {import("../api/types.js").VersionDiff} VersionDiff */

/** What a line of a unified diff is, by its first character. */
const KINDS = { "+": "added", "-": "removed", "@": "place", "\\": "note" };

/** Lines of a unified diff before its first place: the names of both sides. */
const HEADER_LINES = 2;

/** @param {{ difference: VersionDiff }} props */
export function Difference({ difference: { script, settings } }) {
  if (!script && settings.length === 0) return html`<${Empty} title="Both versions are the same" />`;
  return html`${script && html`<${ScriptDiff} text=${script} />`}
  ${
    settings.length > 0 &&
    html`<${Table} caption="Settings that differ" columns=${["Setting", "Before", "After"]}>
      ${settings.map(
        ({ setting, from, to }) =>
          html`<tr key=${setting}>
            <${Cell} of="Setting">${setting}<//>
            <${Cell} of="Before"><code class="diff-value">${JSON.stringify(from)}</code><//>
            <${Cell} of="After"><code class="diff-value">${JSON.stringify(to)}</code><//>
          </tr>`,
      )}
    <//>`
  }`;
}

/** @param {{ text: string }} props */
function ScriptDiff({ text }) {
  const lines = text.replace(/\n$/, "").split("\n").slice(HEADER_LINES);
  return html`<div class="source diff" tabindex="0" role="region" aria-label="What differs in the script">
    ${lines.map((line, place) => {
      const kind = KINDS[/** @type {keyof typeof KINDS} */ (line[0])] ?? "same";
      return html`<div key=${place} class=${`diff-line diff-${kind}`}>${line || " "}</div>`;
    })}
  </div>`;
}
