/** The versions of a pipeline: the source of each, what changed between two, and going back to one. */

import { useState } from "preact/hooks";

import { useVersionDiff, useVersions } from "../api/resources.js";
import { actorOf } from "../events/describe.js";
import { html } from "../html.js";
import { setQuery, useLocation } from "../router.js";
import { announce } from "../ui/announce.js";
import { Confirm } from "../ui/confirm.js";
import { Ago, Section } from "../ui/parts.js";
import { Shown } from "../ui/states.js";
import { Difference } from "./difference.js";
import { Source } from "./source.js";
import { useReplace } from "./use-replace.js";

/** @typedef {import("../api/types.js").Pipeline} Pipeline */
/** @typedef {import("../api/types.js").Version} Version */

/** @param {{ pipeline: Pipeline, onChange: () => void }} props */
export function Versions({ pipeline, onChange }) {
  const versions = useVersions(pipeline.id);
  const { query } = useLocation();
  const asked = Number(query.get("version")) || pipeline.version;
  const base = Number(query.get("from")) || null;
  return html`<${Section} id="source" title="Source and versions">
    <${Shown} of=${versions} what="list of versions" rows=${6}>
      ${(/** @type {Version[]} */ all) => html`<${Chosen} pipeline=${pipeline} all=${all} asked=${asked} base=${base} onChange=${onChange} />`}
    <//>
  <//>`;
}

/** @param {{ pipeline: Pipeline, all: Version[], asked: number, base: number | null, onChange: () => void }} props */
function Chosen({ pipeline, all, asked, base, onChange }) {
  const [isGoingBack, setGoingBack] = useState(false);
  const chosen = all.find(({ version }) => version === asked) ?? all.find(({ current }) => current);
  if (!chosen) return null;
  const number = (/** @type {any} */ event) => event.currentTarget.value;
  const author = chosen.actor && ` by ${actorOf({ metadata: { actor: chosen.actor } })}`;
  return html`<div class="filters">
      <label class="field">Version
        <select value=${chosen.version} onChange=${(/** @type {Event} */ event) => setQuery({ version: number(event) })}>
          ${all.map(({ version, current }) => html`<option key=${version} value=${version}>${version}${current ? " (current)" : ""}</option>`)}
        </select>
      </label>
      <label class="field">Compare with
        <select
          value=${base ?? ""}
          onChange=${(/** @type {Event} */ event) => setQuery({ from: number(event) })}
          disabled=${all.length < 2}
        >
          <option value="">nothing</option>
          ${all.map(({ version }) => version !== chosen.version && html`<option key=${version} value=${version}>version ${version}</option>`)}
        </select>
      </label>
      ${!chosen.current && html`<button type="button" onClick=${() => setGoingBack(true)}>Go back to version ${chosen.version}…</button>`}
    </div>
    ${chosen.version !== asked && html`<p class="notice" role="status">There is no version ${asked}: this is the current one.</p>`}
    <p class="quiet source-of">
      ${chosen.name}, version ${chosen.version}, from <${Ago} time=${chosen.created_at} />${author}
    </p>
    ${
      base
        ? html`<${Compared} id=${pipeline.id} from=${base} to=${chosen.version} />`
        : html`<${Source} script=${chosen.script} label=${`Script of version ${chosen.version}`} />`
    }
    ${isGoingBack && html`<${GoBackDialog} pipeline=${pipeline} to=${chosen.version} onChange=${onChange} onClose=${() => setGoingBack(false)} />`}`;
}

/** @param {{ id: string, from: number, to: number }} props */
function Compared({ id, from, to }) {
  const difference = useVersionDiff(id, { from, to });
  return html`<${Shown} of=${difference} what="comparison" rows=${6}>
    ${(/** @type {import("../api/types.js").VersionDiff} */ shown) => html`<${Difference} difference=${shown} />`}
  <//>`;
}

/** @param {{ pipeline: Pipeline, to: number, onChange: () => void, onClose: () => void }} props */
function GoBackDialog({ pipeline, to, onChange, onClose }) {
  // The page goes on behind the dialog; what was seen is what was there when it was opened.
  const [seen] = useState(pipeline.version);
  const replace = useReplace(pipeline.id, seen);
  async function goBack() {
    await replace("POST", "/rollback", { version: to });
    announce(`The pipeline is as it was in version ${to}.`);
    setQuery({ version: null, from: null });
    onChange();
  }
  return html`<${Confirm} title=${`Go back to version ${to}?`} action="Go back" endsOpener onConfirm=${goBack} onClose=${onClose}>
    <p>
      A new version is made that is like version ${to}. Jobs that were launched
      before keep the version that they were launched with.
    </p>
  <//>`;
}
