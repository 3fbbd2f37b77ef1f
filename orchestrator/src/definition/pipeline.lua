-- The global `pipeline` of a definition. What it collects is checked once, when the returned table is read.

local builder = {}
builder.__index = builder

local function setter(field)
  return function(self, value)
    self.definition[field] = value
    return self
  end
end

local function appender(field)
  return function(self, value)
    table.insert(self.definition[field], value)
    return self
  end
end

builder.name = setter("name")
builder.description = setter("description")
builder.tag = appender("runner")
builder.plugin = appender("plugins")
builder.stage = appender("stages")

function builder:input(name, input)
  if name == nil then
    error("builder:input takes a name and a table", 2)
  end
  self.definition.inputs[name] = input
  return self
end

function builder:build()
  return self.definition
end

local function identity(t)
  return t
end

return {
  define = identity,
  input = identity,
  stage = identity,
  tag = function(key, value)
    return { key = key, value = value }
  end,
  builder = function()
    return setmetatable({ definition = { inputs = {}, runner = {}, plugins = {}, stages = {} } }, builder)
  end,
}
