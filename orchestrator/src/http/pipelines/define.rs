//! Makes a pipeline definition out of a request: what the request says overrides what its script says.

use std::collections::BTreeSet;

use rivet_events::pipeline::{PipelineDefinition, Tag};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::definition::{Definition, DefinitionError, Evaluator, PartialConfig};
use crate::domain::pipeline::check_defaults;
use crate::http::error::ApiError;

/// A pipeline as a client sends it: with a name (dialect A) or all in its script (dialect B).
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({
    "script": "return { name = 'hello', stages = { { name = 'greet', script = function() log.info('Hello') end } } }",
}))]
pub(in crate::http) struct PipelineRequest {
    /// The name; where absent, the script must be a definition.
    #[schema(pattern = r"\S")]
    #[serde(default)]
    name: Option<String>,
    /// A description for people.
    #[serde(default)]
    description: Option<String>,
    /// Lua, at most 1 MiB.
    script: String,
    /// Capabilities that its jobs demand, in addition to those of the script.
    #[serde(default)]
    required_modules: Option<Vec<String>>,
    /// Texts, or pairs of a key and a value; jobs demand the capability `key=value` of each pair.
    #[serde(default)]
    tags: Option<Vec<Tag>>,
    /// Limits, environment and queueing; each member overrides that of the script.
    #[serde(default)]
    config: Option<PartialConfig>,
}

/// The definition that a request describes. With a name in the request, a script that is not a definition is kept as
/// it is; one that hits a limit is refused in any case.
pub(super) async fn define(
    evaluator: &Evaluator,
    request: PipelineRequest,
) -> Result<PipelineDefinition, ApiError> {
    if request.name.as_ref().is_some_and(|name| name.trim().is_empty()) {
        return Err(ApiError::refused("invalid_body", "name: must not be empty"));
    }
    check_demands(&request)?;
    let config = request.config.unwrap_or_default();
    config.check().map_err(|error| ApiError::refused("invalid_body", format!("config: {error}")))?;
    let read = match evaluator.read(&request.script).await {
        Ok(definition) => Some(definition),
        Err(
            DefinitionError::Script { .. }
            | DefinitionError::NotADefinition { .. }
            | DefinitionError::RunnerModule { .. },
        ) if request.name.is_some() => None,
        Err(error) => return Err(error.into()),
    };
    let read: Definition = read.unwrap_or_default();
    // A script with a name in the request is taken whatever it is; launches can give what has no right default.
    if request.name.is_none() {
        check_defaults(&read.inputs).map_err(|error| {
            ApiError::refused("invalid_definition", format!("the default of an input is wrong: {error}"))
        })?;
    }
    let tags_demand: Vec<Tag> = read.tags.iter().chain(request.tags.iter().flatten()).cloned().collect();
    let required_modules = union(read.requires, request.required_modules.unwrap_or_default());
    Ok(PipelineDefinition {
        name: request.name.unwrap_or(read.name),
        description: request.description.or(read.description),
        script: request.script,
        demands: demands(&required_modules, &tags_demand),
        tags: request.tags.unwrap_or(read.tags),
        required_modules,
        inputs: read.inputs,
        config: config.or(read.config).into(),
    })
}

/// Refuses demands that no runner can meet, since it has no capability without a name.
fn check_demands(request: &PipelineRequest) -> Result<(), ApiError> {
    let refuse =
        |place: String| Err(ApiError::refused("invalid_body", format!("{place}: must not be empty")));
    let is_nameless = |tag: &Tag| matches!(tag, Tag::Pair { key, .. } if key.is_empty());
    if let Some(place) = request.required_modules.iter().flatten().position(String::is_empty) {
        return refuse(format!("required_modules[{place}]"));
    }
    if let Some(place) = request.tags.iter().flatten().position(is_nameless) {
        return refuse(format!("tags[{place}].key"));
    }
    Ok(())
}

/// Both lists in order, each text once.
fn union(first: Vec<String>, second: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    first.into_iter().chain(second).filter(|text| seen.insert(text.clone())).collect()
}

/// The capabilities that modules and tags demand, sorted and unique. Only pairs demand something, texts do not.
fn demands(modules: &[String], tags: &[Tag]) -> Vec<String> {
    let pairs = tags.iter().filter_map(|tag| match tag {
        Tag::Pair { key, value } => Some(format!("{key}={value}")),
        Tag::Text(_) => None,
    });
    let demands: BTreeSet<String> = modules.iter().cloned().chain(pairs).collect();
    demands.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn modules_and_pairs_are_demanded_and_texts_are_not() {
        let pair = Tag::Pair { key: "os".to_owned(), value: "linux".to_owned() };
        let modules = vec!["process".to_owned(), "container".to_owned()];
        let tags = [pair.clone(), Tag::Text("nightly".to_owned()), pair];
        assert_eq!(demands(&modules, &tags), ["container", "os=linux", "process"]);
    }

    #[test]
    fn a_demand_without_a_name_is_refused_by_its_place() {
        for (member, refused) in [
            (json!({"required_modules": ["docker"], "tags": ["", {"key": "os", "value": ""}]}), None),
            (json!({"required_modules": ["docker", ""]}), Some("required_modules[1]: must not be empty")),
            (json!({"tags": ["a", {"key": "", "value": "x"}]}), Some("tags[1].key: must not be empty")),
        ] {
            let mut request = member.clone();
            request["script"] = json!("");
            let checked = check_demands(&serde_json::from_value(request).unwrap());
            let expected = refused.map_or(Ok(()), |detail| Err(ApiError::refused("invalid_body", detail)));
            assert_eq!(checked, expected, "{member}");
        }
    }
}
