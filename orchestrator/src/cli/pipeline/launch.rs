//! `pipeline launch`: launches a job, and follows it on request.

use std::collections::HashSet;

use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::cli::client::{ClientOptions, Moment, text};
use crate::cli::job;
use crate::cli::job_logs::follow_to_success;

#[derive(Debug, Args)]
pub(super) struct LaunchOptions {
    /// Id of the pipeline, the beginning of it, or its name
    pipeline: String,
    /// Value of an input: JSON where it begins with {, [ or ", and else a text, which the server converts where the
    /// input is declared as a number or a bool. May be repeated, for other inputs
    #[arg(short, long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, Value)>,
    /// 0 (last) to 9 (first) [default: what the pipeline says, or 5]
    #[arg(long)]
    priority: Option<u8>,
    /// Concurrency group of the job [default: what the pipeline says]
    #[arg(long, value_name = "GROUP")]
    concurrency_group: Option<String>,
    /// Launch once, however often this command is repeated with this key
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Print the log of the job until it has ended; exit code 1 unless it succeeds
    #[arg(short, long)]
    follow: bool,
}

impl LaunchOptions {
    /// Checks that no parameter has two values.
    pub(super) fn check(&self) -> Result<(), String> {
        let mut names = HashSet::new();
        match self.parameters.iter().find(|(name, _)| !names.insert(name)) {
            Some((name, _)) => Err(format!("the parameter {name} is given more than once")),
            None => Ok(()),
        }
    }
}

pub(super) async fn run(launch: LaunchOptions, options: &ClientOptions) -> anyhow::Result<()> {
    let parameters: Map<String, Value> = launch.parameters.into_iter().collect();
    let (client, id) = options.pipeline(&launch.pipeline).await?;
    let mut body = json!({"pipeline_id": id, "parameters": parameters});
    if let Some(priority) = launch.priority {
        body["priority"] = priority.into();
    }
    if let Some(group) = launch.concurrency_group {
        body["concurrency_group"] = group.into();
    }
    let mut request = client.request(Method::POST, &["pipeline", "launch"]).json(&body);
    if let Some(key) = &launch.key {
        request = request.header("Idempotency-Key", key);
    }
    let launched = client.send(request).await?;
    if launch.follow {
        return follow_to_success(&client, text(&launched, "id"), options.json).await;
    }
    job::show(&client, &launched, &Moment::default(), options).await
}

fn parameter(text: &str) -> Result<(String, Value), String> {
    let (name, value) =
        text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("must be NAME=VALUE")?;
    // What a text means depends on the declared input: a version 1.10 is no number, and a branch may be called 123.
    let value = if value.starts_with(['{', '[', '"']) {
        serde_json::from_str(value).map_err(|error| format!("the value is not JSON: {error}"))?
    } else {
        Value::from(value)
    };
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_a_text_unless_it_looks_like_nothing_but_json() {
        let value = |text: &str| parameter(text).map(|(_, value)| value);
        for text in ["main", "1.10", "123456789012345678901234567890", "true", "null", "a=b", ""] {
            assert_eq!(value(&format!("name={text}")), Ok(json!(text)));
        }
        assert_eq!(value("list=[1, 2.5]"), Ok(json!([1, 2.5])));
        assert_eq!(value("map={\"a\": null}"), Ok(json!({"a": null})));
        assert_eq!(value("text=\"7\""), Ok(json!("7")));
        assert_eq!(value("text=\"[wip] x\""), Ok(json!("[wip] x")));
        for text in ["branch", "=1", "s={bad", "s=[wip] x", "s=\"open", "s={} x"] {
            assert!(value(text).is_err(), "{text}");
        }
    }
}
