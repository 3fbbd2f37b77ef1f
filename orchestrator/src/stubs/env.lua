---@meta

---The environment that the job's commands run in: the pipeline's `config.env_vars` over `HOME` (the workspace), `CI`,
---`RIVET_JOB_ID`, `RIVET_PIPELINE_ID`, `RIVET_ATTEMPT`, and the machine's `PATH` and `LANG`; nothing else of the runner's.
---`env.HOME` is `env.get("HOME")`.
---
---Exists only while a job runs: call it inside a stage's `script` or `condition`.
---@class rivet.env
---@field [string] string|nil
env = {}

---The variable `name`, or `default` where it is not set.
---@generic T
---@param name string
---@param default? T
---@return string|T|nil
function env.get(name, default) end
