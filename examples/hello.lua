-- The smallest pipeline: one stage, one line in the log.
return pipeline.define({
  name = "hello",
  description = "Greets, and names the machine it ran on",
  stages = {
    {
      name = "greet",
      script = function()
        log.info("Hello from Rivet")
        local machine = process.run("uname -s")
        return { machine = machine.stdout:gsub("%s+$", "") }
      end,
    },
  },
})
