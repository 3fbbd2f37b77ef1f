//! Reads a definition from the table that a script returned, and so specifies what it must look like. Unknown fields
//! are ignored, since newer clients may send more.

use std::collections::BTreeMap;

use rivet_events::pipeline::{ConcurrencyPolicy, InputSpec, Tag};

use super::{Definition, DefinitionError, PartialConfig, node::Node};

type Result<T> = std::result::Result<T, DefinitionError>;

/// Reads the table that a script returned.
pub(super) fn definition(value: mlua::Value) -> Result<Definition> {
    let root = Node::root(value)?;
    let definition = Definition {
        name: root.get("name")?.label()?,
        description: root.find("description")?.map(|text| text.text()).transpose()?,
        tags: list(&root, "runner", tag)?,
        requires: list(&root, "requires", capability)?,
        inputs: named(&root, "inputs", input)?.unwrap_or_default(),
        config: root.find("config")?.map(|table| config(&table)).transpose()?.unwrap_or_default(),
    };
    list(&root, "plugins", Node::text)?;
    stages(&root.get("stages")?)?;
    Ok(definition)
}

fn list<T>(parent: &Node, name: &str, read: fn(&Node) -> Result<T>) -> Result<Vec<T>> {
    let Some(list) = parent.find(name)? else { return Ok(Vec::new()) };
    list.list()?.iter().map(read).collect()
}

fn named<T>(parent: &Node, name: &str, read: fn(&Node) -> Result<T>) -> Result<Option<BTreeMap<String, T>>> {
    let Some(table) = parent.find(name)? else { return Ok(None) };
    let entries = table.entries()?.into_iter().map(|(key, node)| Ok((key, read(&node)?)));
    entries.collect::<Result<_>>().map(Some)
}

fn capability(node: &Node) -> Result<String> {
    let name = node.text()?;
    if name.is_empty() { Err(node.must("not be empty")) } else { Ok(name) }
}

fn tag(node: &Node) -> Result<Tag> {
    Ok(Tag::Pair { key: node.get("key")?.label()?, value: node.get("value")?.label()? })
}

fn input(node: &Node) -> Result<InputSpec> {
    Ok(InputSpec {
        kind: node.get("type")?.text()?,
        description: node.find("description")?.map(|text| text.text()).transpose()?,
        required: node.find("required")?.map(|flag| flag.boolean()).transpose()?.unwrap_or(false),
        default: node.find("default")?.map(|value| value.scalar()).transpose()?,
        options: match node.find("options")? {
            Some(options) => Some(options.list()?.iter().map(Node::scalar).collect::<Result<_>>()?),
            None => None,
        },
    })
}

fn config(node: &Node) -> Result<PartialConfig> {
    let config = PartialConfig {
        timeout_seconds: node.find("timeout_seconds")?.map(|value| value.integer()).transpose()?,
        max_retries: node.find("max_retries")?.map(|value| value.integer()).transpose()?,
        env_vars: named(node, "env_vars", Node::text)?,
        priority: node.find("priority")?.map(|value| value.integer()).transpose()?,
        concurrency_group: node.find("concurrency_group")?.map(|value| value.text()).transpose()?,
        concurrency_limit: node.find("concurrency_limit")?.map(|value| value.integer()).transpose()?,
        concurrency_policy: node.find("concurrency_policy")?.map(|value| policy(&value)).transpose()?,
        retry_on_runner_lost: node.find("retry_on_runner_lost")?.map(|value| value.boolean()).transpose()?,
    };
    config.check().map_err(|invalid| DefinitionError::NotADefinition {
        field: format!("config.{}", invalid.field),
        problem: invalid.problem,
    })?;
    Ok(config)
}

fn policy(node: &Node) -> Result<ConcurrencyPolicy> {
    match node.text()?.as_str() {
        "queue" => Ok(ConcurrencyPolicy::Queue),
        "cancel_older" => Ok(ConcurrencyPolicy::CancelOlder),
        _ => Err(node.must("be `queue` or `cancel_older`")),
    }
}

/// Checks that the stages are well-formed. They are not part of the definition: the runner takes them from the
/// script.
fn stages(node: &Node) -> Result<()> {
    let stages = node.list()?;
    if stages.is_empty() {
        return Err(node.must("have at least one stage"));
    }
    for stage in &stages {
        stage.get("name")?.label()?;
        stage.get("script")?.function()?;
        stage.find("container")?.map(|image| image.text()).transpose()?;
        stage.find("condition")?.map(|condition| condition.function()).transpose()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
