//! Annotated Lua for editors: what a pipeline script may call, in the notation of LuaLS.
