/** The runners: how busy they were, what they can do, what they have in hand. */

import { useState } from "preact/hooks";

import { send } from "../api/client.js";
import { isOfJobs, useRunners, useRunningJobs } from "../api/resources.js";
import { counted } from "../format.js";
import { html } from "../html.js";
import { HeatMap } from "../runners/heat-map.js";
import { ASKED_HOURS, useRecentJobs } from "../runners/recent-jobs.js";
import { StartRunner } from "../runners/start-runner.js";
import { announce } from "../ui/announce.js";
import { Confirm } from "../ui/confirm.js";
import { Ago, Cell, JobLink, PageHeading, RunnerLink, Section, Status, Table } from "../ui/parts.js";
import { Empty, Rest, Shown } from "../ui/states.js";
import { Tags } from "../ui/tags.js";

/** @typedef {import("../api/types.js").Runner} Runner */
/** @typedef {import("../api/types.js").Job} Job */

/** Signs of life are no events. */
const CONTACT_MS = 15_000;

const affectsRunners = (/** @type {import("../api/types.js").EventBody} */ event) =>
  event.stream_type === "runner" || (isOfJobs(event) && event.type !== "job.launched");

export function Runners() {
  const runners = useRunners({ on: affectsRunners, everyMs: CONTACT_MS });
  const running = useRunningJobs({ on: affectsRunners });
  return html`<${PageHeading} title="Runners" />
    <${Rest} of=${runners} what="runners" />
    <${Shown} of=${runners} what="list of runners" rows=${8}>
      ${(/** @type {Runner[]} */ all) =>
        all.length === 0
          ? html`<${Empty} title="No runner has registered">
              <${StartRunner} />
            <//>`
          : html`<${List} runners=${all} running=${running.data ?? []} onChange=${runners.reload} />
              <${Busyness} runners=${all} running=${running.data ?? []} />`}
    <//>`;
}

/** @param {{ runners: Runner[], running: Job[], onChange: () => void }} props */
function List({ runners, running, onChange }) {
  const [removed, setRemoved] = useState(/** @type {Runner | null} */ (null));
  const byRunner = Map.groupBy(running, (job) => job.runner_id);
  return html`<${Table}
      caption="Runners, newest first"
      columns=${["Runner", "Status", "Can do", "In hand", "Last seen", ""]}
    >
      ${runners.map(
        (runner) =>
          html`<${Row}
            key=${runner.id}
            runner=${runner}
            jobs=${byRunner.get(runner.id) ?? []}
            onRemove=${() => setRemoved(runner)}
          />`,
      )}
    <//>
    ${removed && html`<${RemoveDialog} runner=${removed} onChange=${onChange} onClose=${() => setRemoved(null)} />`}`;
}

/** @param {{ runner: Runner, jobs: Job[], onRemove: () => void }} props */
function Row({ runner, jobs, onRemove }) {
  const { id, status, capabilities, unrestricted, last_heartbeat_at: heard } = runner;
  return html`<tr>
    <${Cell} of="Runner"><${RunnerLink} id=${id} /><//>
    <${Cell} of="Status"><${Status} status=${status} /><//>
    <${Cell} of="Can do">
      ${unrestricted ? html`<span class="quiet">everything: it never told</span>` : html`<${Tags} texts=${capabilities} />`}
      ${!unrestricted && capabilities.length === 0 && html`<span class="quiet none">–</span>`}
    <//>
    <${Cell} of="In hand">
      ${jobs.map((job) => html`<span key=${job.id}><${JobLink} id=${job.id} /> </span>`)}
      ${jobs.length === 0 && html`<span class="quiet none">–</span>`}
    <//>
    <${Cell} of="Last seen"><${Ago} time=${heard} /><//>
    <${Cell} of="">
      ${
        status === "Offline" &&
        html`<button type="button" class="quiet-button" aria-label=${`Remove ${id}…`} onClick=${onRemove}>Remove…</button>`
      }
    <//>
  </tr>`;
}

/** @param {{ runners: Runner[], running: Job[] }} props `running`: also those that were requested too long ago to be recent */
function Busyness({ runners, running }) {
  const recent = useRecentJobs();
  return html`<${Section} id="busyness" title="The last six hours">
    <${Shown} of=${recent} what="history of the runners" rows=${4}>
      ${(/** @type {Job[]} */ jobs) => {
        const byId = new Map([...jobs, ...running].map((job) => [job.id, job]));
        const others = recent.isWhole
          ? `those requested in the last ${ASKED_HOURS} hours.`
          : `the last ${counted(jobs.length, "job")} only: there were more.`;
        return html`<${HeatMap} runners=${runners} jobs=${[...byId.values()]} />
          <p class="quiet">Of the jobs that run, and ${others}</p>`;
      }}
    <//>
  <//>`;
}

/** @param {{ runner: Runner, onChange: () => void, onClose: () => void }} props */
function RemoveDialog({ runner, onChange, onClose }) {
  async function remove() {
    await send("DELETE", `/api/runners/${encodeURIComponent(runner.id)}`);
    announce(`Runner ${runner.id} is removed.`);
    onChange();
  }
  return html`<${Confirm}
    title=${`Remove ${runner.id}?`}
    action="Remove the runner"
    endsOpener
    isDangerous
    onConfirm=${remove}
    onClose=${onClose}
  >
    <p>It leaves the list. If it comes back, it is registered anew.</p>
  <//>`;
}
