---@meta

---Commands in containers, on a runner that has a container engine. The job's workspace is mounted, and is where
---commands start. The variables of `env` are set, but `PATH`, `LANG` and `HOME` are the image's own.
---
---Exists only while a job runs: call it inside a stage's `script` or `condition`.
---@class rivet.container
container = {}

---@class rivet.ContainerInvocation: rivet.Invocation
---@field image string  the image to run in

---Runs a command in a new container of `image`, and removes the container. Output, result and failure are those of
---`process.run`.
---
---    container.run("rust:1", "cargo test")
---    container.run({ image = "alpine", cmd = "ls", args = { "-l" }, check = false })
---@param image string
---@param command rivet.Command
---@param options? rivet.RunOptions
---@return rivet.RunResult
---@overload fun(invocation: rivet.ContainerInvocation): rivet.RunResult
function container.run(image, command, options) end
