//! What the result of a failed job says: its exit code, and an error text for people.

use mlua::Error;

use super::process::CommandFailed;

/// An error in a stage, with the stage's name.
#[derive(Debug, thiserror::Error)]
#[error("stage {stage}: {}", explanation(.error))]
struct StageFailed {
    stage: String,
    error: Error,
}

/// Adds the name of the stage to an error in it.
pub(super) fn in_stage(stage: &str, error: Error) -> Error {
    Error::external(StageFailed { stage: stage.to_owned(), error })
}

/// The exit code of the failed command that caused an error, or 1.
pub(super) fn exit_code(error: &Error) -> i32 {
    if let Some(failed) = error.downcast_ref::<StageFailed>() {
        return exit_code(&failed.error);
    }
    error.chain().find_map(|cause| cause.downcast_ref::<CommandFailed>()).map_or(1, |failed| failed.exit_code)
}

/// The message of an error, without Lua's stack traces.
pub(super) fn explanation(error: &Error) -> String {
    if let Error::CallbackError { traceback, cause } = error {
        let message = explanation(cause);
        // A failed command is named in the message, and an inner callback has its own line.
        let is_placed =
            matches!(**cause, Error::CallbackError { .. }) || cause.downcast_ref::<CommandFailed>().is_some();
        return if is_placed { message } else { at_line(traceback, message) };
    }
    let text = if let Error::RuntimeError(message) | Error::SyntaxError { message, .. } = error {
        message.clone()
    } else {
        error.to_string()
    };
    let (message, traceback) = text.split_once("\nstack traceback:").unwrap_or((&text, ""));
    let kind = message.split_once(": 0x").map_or(message, |(kind, _)| kind);
    if kind == "nil" {
        return at_line(traceback, "an error that is nil, without text".to_owned());
    }
    if matches!(kind, "table" | "function" | "thread") {
        return at_line(traceback, format!("an error that is a {kind}, without text"));
    }
    message.to_owned()
}

/// The message, with the line of the script that a stack trace names first.
fn at_line(traceback: &str, message: String) -> String {
    let line = |frame: &str| {
        let (line, _) = frame.trim_start().strip_prefix("pipeline:")?.split_once(':')?;
        line.parse::<u32>().ok()
    };
    match traceback.lines().find_map(line) {
        Some(line) => format!("line {line}: {message}"),
        None => message,
    }
}
