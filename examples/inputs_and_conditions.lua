-- Typed inputs with defaults, a stage that runs only when an input asks for it, and environment for commands.
return pipeline
  .builder()
  :name("inputs and conditions")
  :description("Greets somebody, and shouts on request")
  :input("who", pipeline.input({ type = "string", description = "Whom to greet", required = true }))
  :input("times", { type = "number", default = 2 })
  :input("loud", { type = "bool", default = false })
  :input("tone", { type = "string", default = "warm", options = { "warm", "formal" } })
  :stage({
    name = "greet",
    script = function()
      local greeting = input.get("tone") == "formal" and "Good day" or "Hi"
      for round = 1, input.get("times") do
        log.info(("%d: %s, %s"):format(round, greeting, input.get("who")))
      end
    end,
  })
  :stage({
    name = "shout",
    condition = function()
      return input.get("loud")
    end,
    script = function()
      -- Inputs reach a command through its environment: nothing in them is taken for shell syntax.
      process.run('printf "%s\\n" "$WHO" | tr a-z A-Z', { env = { WHO = input.get("who") } })
    end,
  })
  :build()
