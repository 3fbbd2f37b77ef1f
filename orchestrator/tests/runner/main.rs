//! The reference runner as a process, against a server that is told what to do.

mod claiming;
mod containers;
mod fixture;
mod heartbeats;
mod results;
mod scripted_server;
mod scripts;
mod stopping;
