---@meta

---@alias rivet.Parameter string|number|boolean|table

---The parameters that the job was launched with, checked against the pipeline's `inputs` and with its defaults
---filled in. A number arrives as a number, a bool as a boolean. `input.branch` is `input.get("branch")`.
---
---Exists only while a job runs: call it inside a stage's `script` or `condition`.
---@class rivet.input
---@field [string] rivet.Parameter|nil
input = {}

---The parameter `name`, or `default` where the job has none.
---@generic T
---@param name string
---@param default? T
---@return rivet.Parameter|T|nil
function input.get(name, default) end
