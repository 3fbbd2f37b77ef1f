---@meta

---Makes the definition that a pipeline script returns. A plain table of the same shape does as well.
---
---    return pipeline.define {
---      name = "build",
---      inputs = { branch = pipeline.input { type = "string", default = "main" } },
---      runner = { pipeline.tag("os", "linux") },
---      stages = {
---        pipeline.stage { name = "test", script = function() process.run("make test") end },
---      },
---    }
---@class rivet.pipeline
pipeline = {}

---@class rivet.Definition
---@field name string|number
---@field description? string
---@field inputs? table<string, rivet.Input>  what a launch may or must give, by name
---@field runner? rivet.Tag[]     a runner must have the capability `key=value` of each
---@field requires? string[]      capabilities that a runner must have, by name
---@field plugins? string[]       demand nothing of a runner
---@field config? rivet.Config
---@field stages rivet.Stage[]    run in order, up to the first that fails; at least one

---@class rivet.Input
---@field type "string"|"number"|"bool"
---@field description? string
---@field required? boolean               absent: not required
---@field default? string|number|boolean  used where a launch gives none
---@field options? (string|number|boolean)[]  the only values allowed

---@class rivet.Tag
---@field key string|number
---@field value string|number

---What the request that stores the pipeline says wins over these, field by field; `env_vars` counts as one field.
---@class rivet.Config
---@field timeout_seconds? integer       longest run of one attempt, from 1 to 86400
---@field max_retries? integer           further attempts after a failure
---@field env_vars? table<string, string>
---@field priority? integer              from 0 (last) to 9 (first)
---@field concurrency_group? string      jobs of one group share a limit of running jobs; at most 255 bytes
---@field concurrency_limit? integer     running jobs of the group, from 1 to 10000; 1 where absent
---@field concurrency_policy? "queue"|"cancel_older"  what a new job of a full group does; absent: it waits
---@field retry_on_runner_lost? boolean  whether a retry after a lost runner may go to any runner

---@class rivet.Stage
---@field name string|number          where two stages share a name, the output of the later is kept as `name 2`
---@field script fun(): any           a table, string, number or boolean it returns is kept if the job succeeds, 1 MiB in all
---@field container? string           image that the stage's commands run in
---@field condition? fun(): boolean   the stage is skipped where it returns false

---@param definition rivet.Definition
---@return rivet.Definition
function pipeline.define(definition) end

---@param input rivet.Input
---@return rivet.Input
function pipeline.input(input) end

---@param stage rivet.Stage
---@return rivet.Stage
function pipeline.stage(stage) end

---@param key string|number
---@param value string|number
---@return rivet.Tag
function pipeline.tag(key, value) end

---@return rivet.Builder
function pipeline.builder() end

---Collects a definition call by call. Every method but `build` returns the builder.
---@class rivet.Builder
local builder = {}

---@param name string|number
---@return rivet.Builder
function builder:name(name) end

---@param description string
---@return rivet.Builder
function builder:description(description) end

---@param name string
---@param input rivet.Input
---@return rivet.Builder
function builder:input(name, input) end

---@param tag rivet.Tag
---@return rivet.Builder
function builder:tag(tag) end

---@param plugin string
---@return rivet.Builder
function builder:plugin(plugin) end

---@param stage rivet.Stage
---@return rivet.Builder
function builder:stage(stage) end

---@return rivet.Definition
function builder:build() end
