//! System tests: one binary, a module a subject.

mod architecture;
