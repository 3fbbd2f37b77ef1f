//! The Lua module `process`: `process.run(command, options)`.
//!
//! A string is a line for the shell, a list is a program and its arguments. A command that fails raises an error, and
//! so fails the stage, unless the options say `check = false`. In a stage with a `container` it runs in that
//! container.

use std::collections::BTreeMap;
use std::process::Command;
use std::rc::Rc;

use mlua::{Error, Lua, Result, Table, Value};
use rivet_events::job_log::LogLevel;

use super::command::{self, Outcome};
use super::containers;
use super::state::Job;

/// Longest name of a command in an error, in bytes.
const MAX_NAME_BYTES: usize = 1 << 10;

/// A command ended with an exit code other than 0.
#[derive(Debug, Clone, thiserror::Error)]
#[error("`{command}` exited with {exit_code}")]
pub(super) struct CommandFailed {
    command: String,
    /// The exit code.
    pub(super) exit_code: i32,
}

/// A command as a script asks for it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Invocation {
    /// The program and its arguments.
    pub(super) words: Vec<String>,
    /// Where to run, relative to the workspace.
    pub(super) cwd: Option<String>,
    /// Environment variables on top of the job's.
    pub(super) env: BTreeMap<String, String>,
    /// What the command gets on its standard input.
    input: Vec<u8>,
    /// Whether a failing command raises no error, and the script looks at the exit code (`check = false`).
    tolerant: bool,
}

/// The Lua table of the module.
pub(super) fn module(lua: &Lua, job: &Rc<Job>) -> Result<Table> {
    let job = Rc::clone(job);
    let module = lua.create_table()?;
    module.raw_set(
        "run",
        lua.create_function(move |lua, (command, options): (Value, Option<Table>)| {
            let invocation = Invocation::parse(&command, options)?;
            let image = job.image.borrow().clone();
            let command = match image {
                Some(image) => containers::command(&job, &image, &invocation)?,
                None => local(&job, &invocation)?,
            };
            run(lua, &job, &invocation, command)
        })?,
    )?;
    Ok(module)
}

/// Runs `command`, which was built from `invocation`, and returns its outcome as a Lua table.
pub(super) fn run(lua: &Lua, job: &Job, invocation: &Invocation, command: Command) -> Result<Table> {
    job.check_cancelled()?;
    job.reporter.log(LogLevel::Debug, &format!("$ {}", invocation.shown()));
    let outcome = command::run(command, &invocation.input, &job.reporter)
        .map_err(|error| Error::runtime(format!("`{}` cannot be run: {error}", invocation.name())))?;
    job.check_cancelled()?;
    if outcome.exit_code != 0 && !invocation.tolerant {
        let failed = CommandFailed { command: invocation.name(), exit_code: outcome.exit_code };
        return Err(Error::external(failed));
    }
    answer(lua, &outcome)
}

fn local(job: &Job, invocation: &Invocation) -> Result<Command> {
    let mut command = Command::new(&invocation.words[0]);
    let directory =
        invocation.cwd.as_ref().map_or_else(|| job.workspace.clone(), |cwd| job.workspace.join(cwd));
    // Otherwise the error would be that of a missing program.
    if let Some(cwd) = invocation.cwd.as_ref().filter(|_| !directory.is_dir()) {
        let name = invocation.name();
        return Err(Error::runtime(format!("`{name}` cannot be run in {cwd}: there is no such directory")));
    }
    command.args(&invocation.words[1..]).current_dir(directory);
    command.env_clear().envs(&*job.environment.borrow()).envs(&invocation.env);
    Ok(command)
}

fn answer(lua: &Lua, outcome: &Outcome) -> Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("exit_code", outcome.exit_code)?;
    table.raw_set("success", outcome.exit_code == 0)?;
    table.raw_set("stdout", lua.create_string(&outcome.stdout)?)?;
    table.raw_set("stderr", lua.create_string(&outcome.stderr)?)?;
    Ok(table)
}

impl Invocation {
    /// Reads the arguments of `process.run(command, options)`. Both may also be in one table, with the command as its
    /// list, or in `cmd` and `args`.
    pub(super) fn parse(command: &Value, options: Option<Table>) -> Result<Self> {
        let (words, options) = if let Some(line) = command.as_string() {
            (shell(line.to_str()?.to_owned()), options)
        } else if let Some(table) = command.as_table() {
            (words_of(table)?, options.or_else(|| Some(table.clone())))
        } else {
            return Err(not_a_command(command.type_name()));
        };
        let options = options.as_ref();
        let mut invocation = Self { words, ..Self::default() };
        let Some(options) = options else { return Ok(invocation) };
        invocation.cwd = options.get("cwd")?;
        invocation.env = options.get::<Option<_>>("env")?.unwrap_or_default();
        invocation.input =
            options.get::<Option<mlua::String>>("input")?.map_or_else(Vec::new, |it| it.as_bytes().to_vec());
        invocation.tolerant = options.get::<Option<bool>>("check")? == Some(false);
        Ok(invocation)
    }

    /// The command as errors name it: one line, so short that the rest of the error is not cut off.
    fn name(&self) -> String {
        let shown = self.shown();
        let whole = shown.trim();
        let first = whole.lines().next().unwrap_or_default();
        let name = &first[..first.floor_char_boundary(MAX_NAME_BYTES)];
        if name == whole { name.to_owned() } else { format!("{name}…") }
    }

    /// The whole command, as the log shows it.
    fn shown(&self) -> String {
        match self.words.as_slice() {
            [sh, c, line] if sh == "sh" && c == "-c" => line.clone(),
            words => words.join(" "),
        }
    }
}

fn words_of(table: &Table) -> Result<Vec<String>> {
    if table.raw_len() > 0 {
        return table.sequence_values().collect();
    }
    let program: Option<String> = table.get("cmd")?;
    let program = program.ok_or_else(|| not_a_command("table without `cmd`"))?;
    let arguments: Option<Vec<String>> = table.get("args")?;
    Ok(match arguments {
        Some(arguments) => std::iter::once(program).chain(arguments).collect(),
        None => shell(program),
    })
}

fn shell(line: String) -> Vec<String> {
    vec!["sh".to_owned(), "-c".to_owned(), line]
}

fn not_a_command(given: &str) -> Error {
    Error::runtime(format!(
        "a command is a text for the shell, or a list of a program and its arguments, not a {given}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &str) -> Result<Invocation> {
        let lua = Lua::new();
        let (command, options) = lua.load(format!("return {arguments}")).eval()?;
        Invocation::parse(&command, options)
    }

    fn words(arguments: &str) -> Vec<String> {
        parse(arguments).unwrap().words
    }

    #[test]
    fn a_text_goes_to_the_shell_and_a_list_does_not() {
        assert_eq!(words("'make all | cat'"), ["sh", "-c", "make all | cat"]);
        assert_eq!(words("{'make', 'all | cat'}"), ["make", "all | cat"]);
        assert_eq!(words("{cmd = 'make', args = {'all'}}"), ["make", "all"]);
        assert_eq!(words("{cmd = 'make all'}"), ["sh", "-c", "make all"]);
    }

    #[test]
    fn options_stand_beside_the_command_or_in_its_table() {
        for arguments in [
            "'x', {cwd = 'd', env = {A = '1'}, input = 'i', check = false}",
            "{'sh', '-c', 'x', cwd = 'd', env = {A = '1'}, input = 'i', check = false}",
            "{cmd = 'x', cwd = 'd', env = {A = '1'}, input = 'i', check = false}",
        ] {
            let expected = Invocation {
                words: shell("x".to_owned()),
                cwd: Some("d".to_owned()),
                env: BTreeMap::from([("A".to_owned(), "1".to_owned())]),
                input: b"i".to_vec(),
                tolerant: true,
            };
            assert_eq!(parse(arguments).unwrap(), expected, "{arguments}");
        }
    }

    #[test]
    fn an_error_names_a_command_by_its_first_line() {
        let name = |line: &str| Invocation { words: shell(line.to_owned()), ..Invocation::default() }.name();
        assert_eq!(name("make test\n"), "make test");
        assert_eq!(name("\n  set -e\n  make test"), "set -e…");
        assert_eq!(name(&"ä".repeat(MAX_NAME_BYTES)), format!("{}…", "ä".repeat(MAX_NAME_BYTES / 2)));
    }

    #[test]
    fn what_is_no_command_is_refused_in_words() {
        for arguments in ["nil", "7", "{}", "{args = {'x'}}"] {
            let error = parse(arguments).unwrap_err().to_string();
            assert!(error.contains("a command is a text"), "{arguments}: {error}");
        }
    }
}
