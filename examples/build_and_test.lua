-- Makes a small project in the workspace, builds it, tests it, and packs what it built.
-- A real pipeline would begin with `process.run({ "git", "clone", "--depth=1", url, "." })`.

local greet = [[
#!/bin/sh
# Greets the people named on the command line.
for name in "$@"; do
  echo "Hello, $name"
done
]]

local test = [[
#!/bin/sh
set -eu
expected='Hello, Ada
Hello, Grace'
actual=$(./build/greet Ada Grace)
[ "$actual" = "$expected" ] || { echo "not ok: $actual" >&2; exit 1; }
echo "ok 1 - greets everybody, in order"
[ -z "$(./build/greet)" ] || { echo "not ok: greets nobody" >&2; exit 1; }
echo "ok 2 - greets nobody when nobody is named"
]]

local function write(path, content)
  process.run('mkdir -p "$(dirname "$FILE")" && cat > "$FILE"', { env = { FILE = path }, input = content })
end

return pipeline.define({
  name = "build and test",
  description = "Checks out, builds, tests and packs a small project",
  config = { timeout_seconds = 300, env_vars = { PROJECT = "greet" } },
  stages = {
    {
      name = "checkout",
      script = function()
        write("src/greet.sh", greet)
        write("tests/greet_test.sh", test)
      end,
    },
    {
      name = "build",
      script = function()
        process.run("sh -n src/greet.sh && mkdir build && install -m 755 src/greet.sh build/greet")
      end,
    },
    {
      name = "test",
      script = function()
        process.run({ "sh", "tests/greet_test.sh" })
      end,
    },
    {
      name = "package",
      script = function()
        local archive = env.get("PROJECT") .. ".tar"
        process.run({ "tar", "-cf", archive, "-C", "build", "greet" })
        local size = process.run({ "wc", "-c", archive }).stdout:match("%d+")
        return { archive = archive, bytes = tonumber(size) }
      end,
    },
  },
})
