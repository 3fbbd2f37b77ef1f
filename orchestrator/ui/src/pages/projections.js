/** The read models: how far each is, building one anew, and the streams that one has given up. */

import { useState } from "preact/hooks";

import { send } from "../api/client.js";
import { useProjections } from "../api/resources.js";
import { counted, formatCount, formatDuration } from "../format.js";
import { html } from "../html.js";
import { Parked } from "../projections/parked.js";
import { announce } from "../ui/announce.js";
import { Confirm } from "../ui/confirm.js";
import { Cell, PageHeading, Section, Table } from "../ui/parts.js";
import { Shown } from "../ui/states.js";

/** @typedef {import("../api/types.js").Projection} Projection */

/** Their progress is no event. */
const PROGRESS_MS = 1_500;
const IDLE_MS = 5_000;

export function Projections() {
  const [isBusy, setBusy] = useState(false);
  const refreshing = { everyMs: isBusy ? PROGRESS_MS : IDLE_MS };
  const projections = useProjections(refreshing);
  const [rebuilt, setRebuilt] = useState("");
  const isRebuilding = projections.data?.some(({ state }) => state === "rebuilding") ?? false;
  if (isRebuilding !== isBusy) setBusy(isRebuilding);
  // One that is being rebuilt is there twice.
  const parked = new Set(projections.data?.filter((one) => one.parked > 0).map(({ name }) => name));
  return html`<${PageHeading} title="Projections" />
    <p class="lead">
      Whatever is shown is derived from the log of events. A projection that is
      behind shows something old; one can be built anew at any time, beside the
      one in use.
    </p>
    <${Shown} of=${projections} what="list of projections" rows=${7}>
      ${(/** @type {Projection[]} */ all) => html`<${List} projections=${all} onRebuild=${setRebuilt} />`}
    <//>
    ${[...parked].map(
      (name) =>
        html`<${Section} key=${name} id=${`parked-${name}`} title=${`Parked in ${name.replaceAll("_", " ")}`}>
          <${Parked} projection=${name} refreshing=${refreshing} onChange=${projections.reload} />
        <//>`,
    )}
    ${rebuilt && html`<${RebuildDialog} name=${rebuilt} onChange=${projections.reload} onClose=${() => setRebuilt("")} />`}`;
}

/** @param {{ projections: Projection[], onRebuild: (name: string) => void }} props */
function List({ projections, onRebuild }) {
  return html`<${Table} caption="Projections" columns=${["Name", "State", "Position", "Behind", "Parked", ""]}>
    ${projections.map((one) => {
      const isRebuilding = one.state === "rebuilding";
      const isBeingRebuilt = projections.some(({ name, state }) => name === one.name && state === "rebuilding");
      return html`<tr key=${one.name + one.version + one.state}>
        <${Cell} of="Name">${one.name.replaceAll("_", " ")} <span class="quiet">v${one.version}</span><//>
        <${Cell} of="State">${isRebuilding ? html`<${Progress} of=${one} />` : "live"}<//>
        <${Cell} of="Position">${formatCount(one.position)} <span class="quiet">of ${formatCount(one.head)}</span><//>
        <${Cell} of="Behind">${one.lag_events === 0 ? "up to date" : `${counted(one.lag_events, "event")}, ${formatDuration(one.lag_seconds)}`}<//>
        <${Cell} of="Parked">${one.parked > 0 ? html`<a href=${`#parked-${one.name}`} class="bad">${counted(one.parked, "stream")}</a>` : "none"}<//>
        <${Cell} of="">
          ${
            !isRebuilding &&
            html`<button
              type="button"
              class="quiet-button"
              disabled=${isBeingRebuilt}
              aria-label=${`Rebuild ${one.name}…`}
              onClick=${() => onRebuild(one.name)}
            >
              Rebuild…
            </button>`
          }
        <//>
      </tr>`;
    })}
  <//>`;
}

/** @param {{ of: Projection }} props */
function Progress({ of: { name, position, head } }) {
  const percent = head > 0 ? Math.floor((100 * position) / head) : 100;
  return html`<span class="progress">
    <progress max=${head} value=${position} aria-label=${`Rebuilding ${name}`}></progress>
    <span>${percent}%</span>
  </span>`;
}

/** @param {{ name: string, onChange: () => void, onClose: () => void }} props */
function RebuildDialog({ name, onChange, onClose }) {
  async function rebuild() {
    await send("POST", `/api/projections/${name}/rebuild`);
    announce(`${name} is being rebuilt.`);
    onChange();
  }
  return html`<${Confirm} title=${`Build ${name} anew?`} action="Rebuild" onConfirm=${rebuild} onClose=${onClose}>
    <p>
      A new one is built from the log beside the one in use, which answers until
      the new one has caught up.
    </p>
  <//>`;
}
