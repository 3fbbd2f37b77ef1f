/** Creating a pipeline, and changing one. */

import { useEffect, useRef, useState } from "preact/hooks";

import { send } from "../api/client.js";
import { usePipeline } from "../api/resources.js";
import { html } from "../html.js";
import { check, saysAll } from "../pipelines/check.js";
import { DefinitionForm } from "../pipelines/definition-form.js";
import { useReplace } from "../pipelines/use-replace.js";
import { announce } from "../ui/announce.js";
import { PageHeading } from "../ui/parts.js";
import { Loading, Shown } from "../ui/states.js";

/** @typedef {import("../api/types.js").Pipeline} Pipeline */

const EXAMPLE = `return pipeline.define({
  name = "hello",
  description = "Greets somebody",
  inputs = {
    who = { type = "string", description = "Whom to greet", default = "world" },
  },
  stages = {
    {
      name = "greet",
      script = function()
        log.info("Hello, " .. input.get("who"))
      end,
    },
  },
})
`;

export function NewPipeline() {
  /** @param {import("../pipelines/definition-form.js").Definition} definition */
  async function create(definition) {
    const created = /** @type {Pipeline} */ (await send("POST", "/api/pipeline/create", definition));
    announce(`Pipeline ${created.name} is created.`);
    return `/pipelines/${created.id}`;
  }
  return html`<${PageHeading} title="New pipeline" />
    <${DefinitionForm} script=${EXAMPLE} isWhole isDefinition action="Create" onSave=${create} back="/pipelines" />`;
}

/** @param {{ id: string }} props */
export function EditPipeline({ id }) {
  const pipeline = usePipeline(id);
  const current = pipeline.data?.version ?? 0;
  /** The version that the form began with. */
  const [first, setFirst] = useState(0);
  useEffect(() => setFirst(first || current), [current]);
  /** What is written is kept, also where the pipeline is deleted meanwhile. */
  const known = useRef(pipeline.data);
  known.current = pipeline.data ?? known.current;
  const isGone = known.current !== undefined && pipeline.error?.status === 404;
  const replace = useReplace(id, first);

  /** @param {import("../pipelines/definition-form.js").Definition} definition */
  async function save(definition) {
    const { version } = await replace("PUT", "", definition);
    announce(`Version ${version} is saved.`);
    return `/pipelines/${id}`;
  }

  return html`<${PageHeading} title=${known.current ? `Edit ${known.current.name}` : "Edit pipeline"} />
    ${
      first > 0 &&
      current > first &&
      html`<p class="notice" role="status">
        Version ${current} was saved while you edit. <a href=${`/pipelines/${id}`} target="_blank">What changed</a>
      </p>`
    }
    ${isGone && html`<p class="notice" role="status">It was deleted while you edit, and cannot be saved: take along what you need.</p>`}
    <${Shown} of=${{ ...pipeline, data: known.current, error: isGone ? null : pipeline.error }} what="pipeline" id=${id} rows=${10}>
      ${(/** @type {Pipeline} */ shown) => html`<${ChangeForm} pipeline=${shown} onSave=${save} />`}
    <//>`;
}

/**
 * Begins with what the script of the pipeline says on its own.
 * @param {{ pipeline: Pipeline, onSave: (definition: import("../pipelines/definition-form.js").Definition) => Promise<string> }} props
 */
function ChangeForm({ pipeline, onSave }) {
  const [own, setOwn] = useState(/** @type {{ isWhole: boolean, isDefinition: boolean } | null} */ (null));
  useEffect(() => {
    check(pipeline.script).then(
      ({ says }) => setOwn({ isWhole: says !== null && saysAll(says, pipeline), isDefinition: says !== null }),
      // What the server does not say now is asked when it is saved.
      () => setOwn({ isWhole: false, isDefinition: true }),
    );
  }, []);
  if (!own) return html`<${Loading} rows=${10} />`;
  return html`<${DefinitionForm}
    ...${own}
    script=${pipeline.script}
    pipeline=${pipeline}
    action="Save as a new version"
    onSave=${onSave}
    back=${`/pipelines/${pipeline.id}`}
  />`;
}
