//! Counts commands by their outcome.

use prometheus::{IntCounter, IntCounterVec};

use super::registry::Registry;

/// The outcome of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Its events were appended.
    Recorded,
    /// There was nothing to record: what it asks is already so.
    Unchanged,
    /// The aggregate refused it.
    Refused,
    /// Every try lost against a concurrent append to the same stream.
    Contended,
    /// Another stream, on whose version its append depends, had moved.
    Stale,
    /// The append queue was full.
    Overloaded,
    /// The store was unavailable.
    Unavailable,
    /// The stream cannot be read.
    Corrupt,
}

impl Outcome {
    const ALL: [Self; 8] = [
        Self::Recorded,
        Self::Unchanged,
        Self::Refused,
        Self::Contended,
        Self::Stale,
        Self::Overloaded,
        Self::Unavailable,
        Self::Corrupt,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
            Self::Contended => "contended",
            Self::Stale => "stale",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
            Self::Corrupt => "corrupt",
        }
    }
}

/// The counters of all commands.
#[derive(Debug)]
pub(crate) struct CommandMetrics(IntCounterVec);

/// The counters of one kind of aggregate: for each command, one per [`Outcome`], looked up beforehand.
#[derive(Debug)]
pub(crate) struct CommandCounts(Vec<(&'static str, [IntCounter; Outcome::ALL.len()])>);

impl CommandMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        Self(registry.counters(
            "rivet_commands_total",
            "Commands to aggregates, by what became of them.",
            &["aggregate", "command", "outcome"],
        ))
    }

    /// The counters of the commands of one kind of aggregate.
    #[must_use]
    pub(crate) fn of(&self, aggregate: &str, commands: &[&'static str]) -> CommandCounts {
        let counter =
            |command, outcome: Outcome| self.0.with_label_values(&[aggregate, command, outcome.as_str()]);
        let counts = commands.iter().map(|command| (*command, Outcome::ALL.map(|o| counter(command, o))));
        CommandCounts(counts.collect())
    }
}

impl CommandCounts {
    /// Counts a command.
    pub(crate) fn count(&self, command: &str, outcome: Outcome) {
        if let Some((_, counters)) = self.0.iter().find(|(name, _)| *name == command) {
            counters[outcome as usize].inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::NamedCommand;
    use crate::domain::job::JobCommand;

    #[test]
    fn a_command_is_counted_by_its_outcome() {
        let registry = Registry::default();
        let counts = CommandMetrics::new(&registry).of("job", JobCommand::NAMES);
        counts.count("claim", Outcome::Refused);
        counts.count("claim", Outcome::Overloaded);
        let text = registry.text();
        for outcome in ["refused", "overloaded"] {
            let line = format!(
                "rivet_commands_total{{aggregate=\"job\",command=\"claim\",outcome=\"{outcome}\"}} 1\n"
            );
            assert!(text.contains(&line), "{text}");
        }
        assert_eq!(text.matches(" 1\n").count(), 2);
    }

    #[test]
    fn each_outcome_has_its_place() {
        for (place, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, place);
        }
    }
}
