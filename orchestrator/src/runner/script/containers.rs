//! Runs commands in containers: for the Lua module `container` (`container.run(image, command, options)`), and for
//! `process.run` in a stage that has a `container`.
//!
//! The workspace is mounted, and commands start in it. Containers carry the job's id and the workspace as labels, by
//! which the runner finds those of a job that was stopped, and those that a killed runner left.

use std::collections::BTreeMap;
use std::process::Command;
use std::rc::Rc;

use mlua::{Error, FromLua, Lua, Result, Table, Value};

use super::process::{self, Invocation};
use super::state::Job;
use crate::runner::container::{label, label_of_workspace};

/// Where the workspace is mounted in a container.
const WORKSPACE: &str = "/workspace";

/// How the names of variables begin that the engine's own program heeds.
const OF_THE_ENGINE: [&str; 10] =
    ["PATH", "HOME", "LANG", "LC_", "LD_", "TMPDIR", "XDG_", "CONTAINER", "DOCKER_", "PODMAN_"];

/// The Lua table of the module.
pub(super) fn module(lua: &Lua, job: &Rc<Job>) -> Result<Table> {
    let job = Rc::clone(job);
    let module = lua.create_table()?;
    module.raw_set(
        "run",
        lua.create_function(move |lua, (image, command, options): (Value, Value, Option<Table>)| {
            let (image, invocation) = match image.as_table() {
                Some(all) => (all.get::<String>("image")?, Invocation::parse(&image, None)?),
                None => (String::from_lua(image, lua)?, Invocation::parse(&command, options)?),
            };
            let command = self::command(&job, &image, &invocation)?;
            process::run(lua, &job, &invocation, command)
        })?,
    )?;
    Ok(module)
}

/// The command that runs an invocation in a new container of `image`.
pub(super) fn command(job: &Job, image: &str, invocation: &Invocation) -> Result<Command> {
    let Some(engine) = job.engine else {
        return Err(Error::runtime(format!(
            "the container {image} cannot be run: this runner has neither podman nor a docker that answers"
        )));
    };
    let mut command = Command::new(engine.program());
    command.args(["run", "--rm", "--interactive", "--init", "--label", &label(job.id)]);
    command.args(["--label", &label_of_workspace(&job.workspace)]);
    // The z lets containers use the workspace where SELinux is enforced.
    command.arg("--volume").arg(format!("{}:{WORKSPACE}:z", job.workspace.display()));
    let directory =
        invocation.cwd.as_ref().map_or_else(|| WORKSPACE.to_owned(), |cwd| format!("{WORKSPACE}/{cwd}"));
    command.args(["--workdir", &directory]);
    if let Some(user) = engine.user() {
        // The image does not know this user, who thus has no home in it.
        command.args(["--user", &user, "--env", &format!("HOME={WORKSPACE}")]);
    }
    command.env_clear().envs(&*job.environment.borrow());
    let mut environment = job.container_environment.borrow().clone();
    environment.extend(invocation.env.clone());
    declare(&mut command, &environment, &job.environment.borrow());
    command.arg(image).args(&invocation.words);
    Ok(command)
}

/// Gives variables to the container. A value is taken from the environment of the engine's program, since any user of
/// the machine can read a command line. But what the engine heeds is not changed for it.
fn declare(
    command: &mut Command,
    variables: &BTreeMap<String, String>,
    of_engine: &BTreeMap<String, String>,
) {
    for (name, value) in variables {
        let is_heeded = OF_THE_ENGINE.iter().any(|prefix| name.starts_with(prefix));
        if is_heeded && of_engine.get(name) != Some(value) {
            command.arg("--env").arg(format!("{name}={value}"));
        } else {
            command.args(["--env", name]).env(name, value);
        }
    }
}
