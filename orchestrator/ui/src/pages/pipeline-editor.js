/** Creating a pipeline, and changing one. */

import { send } from "../api/client.js";
import { usePipeline } from "../api/resources.js";
import { html } from "../html.js";
import { DefinitionForm } from "../pipelines/definition-form.js";
import { navigate } from "../router.js";
import { announce } from "../ui/announce.js";
import { PageHeading } from "../ui/parts.js";
import { Shown } from "../ui/states.js";

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
    navigate(`/pipelines/${created.id}`);
  }
  return html`<${PageHeading} title="New pipeline" />
    <${DefinitionForm} script=${EXAMPLE} action="Create" onSave=${create} back="/pipelines" />`;
}

/** @param {{ id: string }} props */
export function EditPipeline({ id }) {
  const pipeline = usePipeline(id);

  /** @param {import("../pipelines/definition-form.js").Definition} definition */
  async function save(definition) {
    const revised = /** @type {Pipeline} */ (await send("PUT", `/api/pipeline/${id}`, definition));
    announce(`Version ${revised.version} is saved.`);
    navigate(`/pipelines/${id}`);
  }

  return html`<${PageHeading} title=${pipeline.data ? `Edit ${pipeline.data.name}` : "Edit pipeline"} />
    <${Shown} of=${pipeline} what="pipeline" rows=${10}>
      ${(/** @type {Pipeline} */ shown) =>
        html`<${DefinitionForm}
          script=${shown.script}
          pipeline=${shown}
          action="Save as a new version"
          onSave=${save}
          back=${`/pipelines/${id}`}
        />`}
    <//>`;
}
