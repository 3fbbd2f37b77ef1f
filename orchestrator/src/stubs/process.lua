---@meta

---Commands on the runner's machine; in a stage with a `container`, inside a new container of that image.
---
---Exists only while a job runs: call it inside a stage's `script` or `condition`.
---@class rivet.process
process = {}

---A text is a line for the shell, a list is a program and its arguments.
---@alias rivet.Command string|string[]

---@class rivet.RunOptions
---@field cwd? string              directory to run in, relative to the job's workspace
---@field env? table<string, string>  variables beside the job's
---@field input? string            given on the standard input
---@field check? boolean           `false`: a failure is left to the script to look at (default: it raises an error)

---A command and its options in one table: a list with named options beside it, or with `cmd` and `args`.
---@class rivet.Invocation: rivet.RunOptions
---@field [integer] string  the program and its arguments
---@field cmd? string       the program; without `args` a line for the shell
---@field args? string[]    arguments of `cmd`

---@class rivet.RunResult
---@field exit_code integer  128 and the signal's number where a signal ended it
---@field success boolean    whether `exit_code` is 0
---@field stdout string      standard output, up to 1 MiB
---@field stderr string      error output, up to 1 MiB

---Runs a command to its end. Its output goes to the job's log line by line as it comes. A command that exits with
---another code than 0 raises an error, which fails the stage with that code, unless `check = false`.
---
---It ends when the command has ended and its output is closed: a process left in the background needs
---`>/dev/null 2>&1`.
---
---    process.run("make test | tee report")
---    process.run({ "git", "tag", input.version })
---    if not process.run("git diff --quiet", { check = false }).success then log.warning("dirty") end
---@param command rivet.Command|rivet.Invocation
---@param options? rivet.RunOptions
---@return rivet.RunResult
function process.run(command, options) end
