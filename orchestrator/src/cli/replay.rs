//! `replay`: prints the history of one stream, with the states that the aggregate's own `evolve` makes of it.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

use anyhow::ensure;
use clap::Args;
use rivet_events::id::JobId;
use rivet_events::stream::StreamIdError;
use rivet_events::{Envelope, Event, StreamId, StreamType, Version};
use serde::Serialize;
use serde_json::Value;

use super::output::{summary, write_json};
use super::store::open_log;
use crate::config::DatabaseOptions;
use crate::domain::Decider;
use crate::domain::archive::ArchiveState;
use crate::domain::group::GroupState;
use crate::domain::job::JobState;
use crate::domain::job_log::JobLogState;
use crate::domain::pipeline::PipelineState;
use crate::domain::projection::ProjectionState;
use crate::domain::runner::RunnerState;
use crate::domain::webhook::WebhookState;
use crate::feed::EventBody;

/// Longest value that is not cut, in characters.
const MAX_VALUE: usize = 100;

#[derive(Debug, Args)]
pub(super) struct ReplayOptions {
    /// `job/ID`, `pipeline/ID`, `job_log/ID`, `runner/NAME`, `group/NAME`, `claim/DIGEST`,
    /// `projection/NAME`, `webhook/ID` or `archive/job_logs`; a bare ID is a job's
    #[arg(value_parser = stream)]
    stream: StreamId,

    /// Print one JSON object a line: the event, and the whole state after it
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    database: DatabaseOptions,
}

fn stream(text: &str) -> Result<StreamId, StreamIdError> {
    text.parse::<JobId>().map(StreamId::job).or_else(|_| text.parse())
}

pub(super) async fn run(options: ReplayOptions) -> anyhow::Result<()> {
    let log = open_log(&options.database).await?;
    let events = log.read_stream(&options.stream, Version(0)).await?;
    ensure!(!events.is_empty(), "there is no stream {}", options.stream);
    let mut out = BufWriter::new(io::stdout().lock());
    let mut state = State::before(options.stream.kind);
    let mut shown = BTreeMap::new();
    for event in events {
        state = state.evolve(&event.event);
        if options.json {
            write_json(&mut out, &ReplayedEvent { event: EventBody::from(&*event), state: &state })?;
        } else {
            let now = flatten(&serde_json::to_value(&state)?);
            print_step(&mut out, &event, &shown, &now)?;
            shown = now;
        }
    }
    out.flush()?;
    Ok(())
}

#[derive(Serialize)]
struct ReplayedEvent<'a> {
    event: EventBody<'a>,
    state: &'a State,
}

/// The state of the stream's aggregate after the events so far.
#[derive(Serialize)]
#[serde(untagged)]
enum State {
    Pipeline(PipelineState),
    Job(Box<JobState>),
    JobLog(JobLogState),
    Runner(RunnerState),
    Group(GroupState),
    Projection(ProjectionState),
    Webhook(WebhookState),
    Archive(Box<ArchiveState>),
    /// No state: a claim's stream is a single event, and a stream of an unknown kind has no aggregate here.
    None,
}

impl State {
    fn before(kind: StreamType) -> Self {
        match kind {
            StreamType::Pipeline => Self::Pipeline(PipelineState::default()),
            StreamType::Job => Self::Job(Box::default()),
            StreamType::JobLog => Self::JobLog(JobLogState::default()),
            StreamType::Runner => Self::Runner(RunnerState::default()),
            StreamType::Group => Self::Group(GroupState::default()),
            StreamType::Projection => Self::Projection(ProjectionState::default()),
            StreamType::Webhook => Self::Webhook(WebhookState::default()),
            StreamType::Archive => Self::Archive(Box::default()),
            StreamType::Claim | StreamType::Unknown(_) => Self::None,
        }
    }

    /// The state after an event. One that this build cannot read leaves it as it is.
    fn evolve(self, event: &Event) -> Self {
        match (self, event.clone()) {
            (Self::Pipeline(state), Event::Pipeline(event)) => Self::Pipeline(state.evolve(event)),
            (Self::Job(state), Event::Job(event)) => Self::Job(Box::new(state.evolve(event))),
            (Self::JobLog(state), Event::JobLog(event)) => Self::JobLog(state.evolve(event)),
            (Self::Runner(state), Event::Runner(event)) => Self::Runner(state.evolve(event)),
            (Self::Group(state), Event::Group(event)) => Self::Group(state.evolve(event)),
            (Self::Projection(state), Event::Projection(event)) => Self::Projection(state.evolve(event)),
            (Self::Webhook(state), Event::Webhook(event)) => Self::Webhook(state.evolve(event)),
            (Self::Archive(state), Event::Archive(event)) => Self::Archive(Box::new(state.evolve(event))),
            (state, _) => state,
        }
    }
}

/// The leaves of a document by their paths.
fn flatten(document: &Value) -> BTreeMap<String, String> {
    fn visit(path: &str, value: &Value, leaves: &mut BTreeMap<String, String>) {
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match value {
            Value::Object(members) => {
                members.iter().for_each(|(name, member)| visit(&below(name), member, leaves));
            }
            Value::Array(items) => {
                (1..).zip(items).for_each(|(n, item): (u32, _)| visit(&below(&n.to_string()), item, leaves));
            }
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                leaves.insert(path.to_owned(), shorten(&value.to_string()));
            }
        }
    }
    let mut leaves = BTreeMap::new();
    visit("", document, &mut leaves);
    leaves
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_VALUE) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

/// The event, and what it changed: `+` is new, `~` has another value, `-` is gone.
fn print_step(
    out: &mut impl Write,
    event: &Envelope,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> io::Result<()> {
    writeln!(out, "{:>4}  {}  (position {})", event.sequence, summary(event), event.position)?;
    if let Event::Unreadable(unreadable) = &event.event {
        writeln!(out, "      ! this build cannot read it: {}", unreadable.error)?;
    }
    for (path, value) in after {
        match before.get(path) {
            None => writeln!(out, "      + {path} = {value}")?,
            Some(old) if old != value => writeln!(out, "      ~ {path} = {value}")?,
            Some(_) => {}
        }
    }
    for path in before.keys().filter(|path| !after.contains_key(*path)) {
        writeln!(out, "      - {path}")?;
    }
    Ok(())
}
