-- Takes ten minutes: long enough to watch, to cancel, or to restart the server under it.
return pipeline.define({
  name = "slow",
  stages = {
    {
      name = "wait",
      script = function()
        log.info("waiting for ten minutes")
        process.run("sleep 600")
        log.info("waited")
      end,
    },
  },
})
