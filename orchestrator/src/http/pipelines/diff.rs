//! `GET /api/pipeline/{id}/diff`: what differs between two versions of a pipeline, in the script and in the settings.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use rivet_events::id::PipelineId;
use rivet_events::pipeline::PipelineDefinition;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use similar::TextDiff;
use utoipa::{IntoParams, ToSchema};

use super::history::History;
use crate::http::error::ApiError;
use crate::http::extract::{Path, Query};
use crate::http::state::AppState;

/// Longest search for the smallest diff. The diff that is found by then is correct, but may be longer than need be.
const SEARCH_TIMEOUT: Duration = Duration::from_millis(200);

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Pair {
    /// The version before `to` where absent.
    #[param(maximum = 4_294_967_295_u32)]
    from: Option<u32>,
    /// The newest version where absent.
    #[param(maximum = 4_294_967_295_u32)]
    to: Option<u32>,
}

/// What differs between two versions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PipelineDiff, example = json!({
    "pipeline_id": "01a21390-aaaa-7bcd-8000-0123456789ab",
    "from": 1,
    "to": 2,
    "script": "--- version 1\n+++ version 2\n@@ -1 +1 @@\n-log.info('Hello')\n+log.info('Hello, world')\n",
    "settings": [{"setting": "config.max_retries", "from": 0, "to": 2}],
}))]
pub(in crate::http) struct Diff {
    pipeline_id: PipelineId,
    from: u32,
    to: u32,
    /// A unified diff; empty where the scripts are the same.
    script: String,
    /// The other settings that differ.
    settings: Vec<Change>,
}

/// A setting that differs; null where a version does not have it.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = SettingChange)]
struct Change {
    /// Its path, such as `config.max_retries`.
    setting: String,
    from: Value,
    to: Value,
}

/// Compare two versions of a pipeline.
#[utoipa::path(
    get, path = "/api/pipeline/{id}/diff", operation_id = "diffPipelineVersions", tag = "Pipelines",
    params(("id" = Uuid, Path, description = "The pipeline"), Pair),
    responses(
        (status = 200, description = "What differs", body = Diff),
        (status = 404, description = "`pipeline_not_found`, `version_not_found`"),
    )
)]
pub(in crate::http) async fn diff(
    State(state): State<AppState>,
    Path(pipeline_id): Path<PipelineId>,
    Query(pair): Query<Pair>,
) -> Result<Json<Diff>, ApiError> {
    let history = History::of(&state.commands, pipeline_id).await?;
    let to = pair.to.unwrap_or(history.newest);
    let from = pair.from.unwrap_or(to.saturating_sub(1).max(1));
    let before = history.version(from).await?.definition;
    let after = history.version(to).await?.definition;
    // Comparing long scripts keeps a core busy for a while.
    let compared = state.tasks.spawn_blocking(move || Diff {
        pipeline_id,
        from,
        to,
        script: unified(&before.script, &after.script, from, to),
        settings: changes(&before, &after),
    });
    Ok(Json(compared.await.map_err(|error| ApiError::internal(&error))?))
}

fn unified(before: &str, after: &str, from: u32, to: u32) -> String {
    let diff = TextDiff::configure().timeout(SEARCH_TIMEOUT).diff_lines(before, after);
    diff.unified_diff().header(&format!("version {from}"), &format!("version {to}")).to_string()
}

/// The settings that differ, in the order of their paths; the script is not one of them.
fn changes(before: &PipelineDefinition, after: &PipelineDefinition) -> Vec<Change> {
    let (mut before, mut after) = (settings(before), settings(after));
    let paths: Vec<String> = before.keys().chain(after.keys()).cloned().collect();
    let mut changes: Vec<Change> = Vec::new();
    for setting in paths {
        let from = before.remove(&setting).unwrap_or_default();
        let to = after.remove(&setting).unwrap_or_default();
        if from != to {
            changes.push(Change { setting, from, to });
        }
    }
    changes.sort_by(|a, b| a.setting.cmp(&b.setting));
    changes
}

/// The settings by their paths. A list, or one input, is one setting.
fn settings(definition: &PipelineDefinition) -> BTreeMap<String, Value> {
    let document = serde_json::to_value(definition).expect("invariant: a definition is plain data");
    let mut settings = BTreeMap::new();
    for (name, value) in document.as_object().into_iter().flatten().filter(|(name, _)| *name != "script") {
        match value.as_object().filter(|_| name == "config" || name == "inputs") {
            Some(members) => {
                let paths = members.iter().map(|(member, value)| (format!("{name}.{member}"), value.clone()));
                settings.extend(paths);
            }
            None => {
                settings.insert(name.clone(), value.clone());
            }
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use rivet_events::pipeline::PipelineConfig;
    use serde_json::json;

    use super::*;

    fn definition(script: &str) -> PipelineDefinition {
        PipelineDefinition {
            name: "build".to_owned(),
            description: None,
            script: script.to_owned(),
            tags: vec![],
            required_modules: vec![],
            demands: vec![],
            inputs: BTreeMap::new(),
            config: PipelineConfig::default(),
        }
    }

    #[test]
    fn a_changed_line_is_shown_with_its_surroundings() {
        let diff = unified("a\nb\nc\n", "a\nB\nc\n", 1, 2);
        assert_eq!(diff, "--- version 1\n+++ version 2\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n");
        assert_eq!(unified("a", "a", 1, 2), "");
    }

    #[test]
    fn changed_settings_are_named_by_their_path_and_the_script_is_none() {
        let before = definition("a");
        let mut after = PipelineDefinition { description: Some("new".to_owned()), ..definition("b") };
        after.config.max_retries = 2;
        after.config.priority = Some(9);
        let change = |setting: &str, from, to| Change { setting: setting.to_owned(), from, to };
        assert_eq!(
            changes(&before, &after),
            [
                change("config.max_retries", json!(0), json!(2)),
                change("config.priority", json!(null), json!(9)),
                change("description", json!(null), json!("new")),
            ]
        );
        assert_eq!(changes(&before, &before), []);
    }

    #[test]
    fn very_different_scripts_are_compared_in_bounded_time() {
        let lines = |step: usize| {
            let lines: Vec<String> = (0..40_000).map(|n| (n * step % 39_989).to_string()).collect();
            lines.join("\n")
        };
        let began = std::time::Instant::now();
        assert!(unified(&lines(7), &lines(11), 1, 2).len() > 100_000);
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
}
