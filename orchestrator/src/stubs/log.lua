---@meta

---The job's log. Every call is one entry; several values are joined by tabs, as `print` does.
---
---Exists only while a job runs: call it inside a stage's `script` or `condition`.
---@class rivet.log
log = {}

---@param ... any
function log.debug(...) end

---@param ... any
function log.info(...) end

---@param ... any
function log.warning(...) end

---Writes an entry; it does not fail the stage. To fail it, raise an error: `error("…")`.
---@param ... any
function log.error(...) end
