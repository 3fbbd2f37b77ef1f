---@meta

---The environment that the job's commands run in: the runner's own, with the pipeline's `config.env_vars` over it.
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
