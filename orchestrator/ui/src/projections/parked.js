/** The streams that a projection has given up, and what can be done about each. */

import { useState } from "preact/hooks";

import { send } from "../api/client.js";
import { useParked } from "../api/resources.js";
import { html } from "../html.js";
import { announce } from "../ui/announce.js";
import { Confirm } from "../ui/confirm.js";
import { Cell, Table } from "../ui/parts.js";
import { Shown } from "../ui/states.js";

/** @typedef {import("../api/types.js").ParkedStream} ParkedStream */
/** @typedef {"retry" | "skip"} Verb */

/** @param {{ projection: string, refreshing: import("../live/use-resource.js").Refreshing, onChange: () => void }} props */
export function Parked({ projection, refreshing, onChange }) {
  const parked = useParked(projection, refreshing);
  const [asked, setAsked] = useState(/** @type {{ verb: Verb, stream: ParkedStream } | null} */ (null));
  const changed = () => {
    parked.reload();
    onChange();
  };
  return html`<${Shown} of=${parked} what="list of parked streams" rows=${2}>
      ${(/** @type {ParkedStream[]} */ streams) => html`<${Streams} streams=${streams} onAsk=${setAsked} />`}
    <//>
    ${asked && html`<${Decide} ...${asked} projection=${projection} onChange=${changed} onClose=${() => setAsked(null)} />`}`;
}

/** @param {{ streams: ParkedStream[], onAsk: (asked: { verb: Verb, stream: ParkedStream }) => void }} props */
function Streams({ streams, onAsk }) {
  return html`<${Table} caption="Parked streams" columns=${["Stream", "Event", "What went wrong", ""]}>
    ${streams.map((stream) => {
      const name = nameOf(stream);
      return html`<tr key=${name}>
        <${Cell} of="Stream"><code>${name}</code><//>
        <${Cell} of="Event"><a href=${`/events?after=${stream.position - 1}`}>${stream.position}</a><//>
        <${Cell} of="What went wrong">${stream.error}<//>
        <${Cell} of="">
          <span class="actions">
            <button type="button" aria-label=${`Retry ${name}…`} onClick=${() => onAsk({ verb: "retry", stream })}>Retry…</button>
            <button type="button" aria-label=${`Skip the event of ${name}…`} onClick=${() => onAsk({ verb: "skip", stream })}>
              Skip…
            </button>
          </span>
        <//>
      </tr>`;
    })}
  <//>`;
}

const QUESTIONS = {
  retry: {
    title: "Try the parked streams again?",
    action: "Retry",
    consequence: "The projection is built anew, with the program that runs now. What it still cannot read is parked again.",
  },
  skip: {
    title: "Leave this event out?",
    action: "Skip the event",
    consequence: "The projection is built anew without this event, for good. The log keeps it.",
  },
};

/** @param {{ verb: Verb, stream: ParkedStream, projection: string, onChange: () => void, onClose: () => void }} props */
function Decide({ verb, stream, projection, onChange, onClose }) {
  const { title, action, consequence } = QUESTIONS[verb];
  /** @param {FormData} form */
  async function decide(form) {
    const reason = String(form.get("reason") ?? "").trim();
    const path = `${stream.stream_type}/${encodeURIComponent(stream.stream_id)}`;
    await send("POST", `/api/projections/${projection}/parked/${path}/${verb}`, reason ? { reason } : {});
    announce(`${projection} is being rebuilt.`);
    onChange();
  }
  return html`<${Confirm} title=${title} action=${action} isDangerous=${verb === "skip"} endsOpener onConfirm=${decide} onClose=${onClose}>
    <p><code>${nameOf(stream)}</code>, event ${stream.position}</p>
    <p>${consequence}</p>
    <label class="field">Reason <input name="reason" maxlength="500" autocomplete="off" /></label>
  <//>`;
}

/** @param {ParkedStream} stream */
function nameOf({ stream_type: kind, stream_id: id }) {
  return `${kind}/${id}`;
}
