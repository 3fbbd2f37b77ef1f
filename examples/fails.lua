-- A failing command fails its stage, and with it the job; later stages do not run. Where a failure is an answer
-- rather than a fault, `check = false` hands it to the script.
return pipeline.define({
  name = "fails",
  stages = {
    {
      name = "probe",
      script = function()
        local probe = process.run("exit 7", { check = false })
        log.info(("the probe answered %d, which is fine"):format(probe.exit_code))
      end,
    },
    {
      name = "test",
      script = function()
        process.run("echo '1 of 3 tests failed' >&2; exit 3")
      end,
    },
    {
      name = "deploy",
      script = function()
        log.error("never reached")
      end,
    },
  },
})
