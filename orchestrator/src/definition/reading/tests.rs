use serde_json::json;

use super::*;
use crate::definition::sandbox;

const STAGE: &str = "stages = { { name = 'build', script = function() end } }";

fn read(script: &str) -> Result<Definition> {
    sandbox::run(script, definition)
}

/// Reads a definition that has `fields` beside a name and a stage.
fn read_with(fields: &str) -> Result<Definition> {
    read(&format!("return pipeline.define {{ name = 'p', {STAGE}, {fields} }}"))
}

fn refused(result: Result<Definition>) -> String {
    let error = result.unwrap_err();
    assert!(matches!(error, DefinitionError::NotADefinition { .. }), "refused for another reason: {error}");
    error.to_string()
}

#[test]
fn a_full_definition_is_read() {
    let script = "return pipeline.define {
        name = 'release',
        description = 'Builds and ships',
        runner = { { key = 'os', value = 'linux' }, pipeline.tag('gpu', 2) },
        requires = { 'docker' },
        plugins = { 'cache' },
        inputs = {
            branch = pipeline.input { type = 'string', required = true, options = { 'main', 'next' } },
            jobs = { type = 'number', default = 4, description = 'how many at once' },
        },
        config = {
            timeout_seconds = 600, max_retries = 2, env_vars = { CI = '1' }, priority = 7,
            concurrency_group = 'ship', concurrency_limit = 2.0, concurrency_policy = 'cancel_older',
            retry_on_runner_lost = true,
        },
        stages = { pipeline.stage {
            name = 'build', container = 'rust:1', script = function() end, condition = function() return true end,
        } },
    }";
    let expected = json!({
        "name": "release",
        "description": "Builds and ships",
        "tags": [{"key": "os", "value": "linux"}, {"key": "gpu", "value": "2"}],
        "requires": ["docker"],
        "inputs": {
            "branch": {"type": "string", "required": true, "options": ["main", "next"]},
            "jobs": {"type": "number", "required": false, "default": 4, "description": "how many at once"},
        },
        "config": {
            "timeout_seconds": 600, "max_retries": 2, "env_vars": {"CI": "1"}, "priority": 7,
            "concurrency_group": "ship", "concurrency_limit": 2, "concurrency_policy": "cancel_older",
            "retry_on_runner_lost": true,
        },
    });
    assert_eq!(serde_json::to_value(read(script).unwrap()).unwrap(), expected);
}

#[test]
fn the_builder_makes_the_same_definition_as_the_table() {
    let built = read(
        "return pipeline.builder()
            :name('p'):description('d'):input('x', { type = 'bool', default = false })
            :tag({ key = 'os', value = 'linux' }):plugin('cache')
            :stage({ name = 'build', script = function() end })
            :build()",
    );
    let written = read_with(
        "description = 'd', inputs = { x = { type = 'bool', default = false } },
         runner = { { key = 'os', value = 'linux' } }, plugins = { 'cache' }",
    );
    assert_eq!(built.unwrap(), written.unwrap());
}

#[test]
fn a_plain_table_with_a_name_and_a_stage_is_enough() {
    let definition = read(&format!("return {{ name = 'p', {STAGE} }}")).unwrap();
    assert_eq!(definition.config, PartialConfig::default());
    assert!(definition.inputs.is_empty() && definition.tags.is_empty() && definition.requires.is_empty());
}

#[test]
fn a_name_may_be_a_number() {
    for (name, shown) in [("7", "7"), ("1.5", "1.5")] {
        assert_eq!(read(&format!("return {{ name = {name}, {STAGE} }}")).unwrap().name, shown);
    }
}

#[test]
fn a_script_that_returns_no_table_is_no_definition() {
    for (script, found) in [
        ("", "nothing"),
        ("return nil", "nothing"),
        ("return 'p'", "a string"),
        ("return function() end", "a function"),
        ("pipeline.define { name = 'p' }", "nothing"),
    ] {
        assert_eq!(
            refused(read(script)),
            format!("`return` must give the definition as a table, not {found}")
        );
    }
}

#[test]
fn a_name_is_required_and_not_blank() {
    let with_name = |name| refused(read(&format!("return {{ {name} {STAGE} }}")));
    assert_eq!(with_name(""), "`name` is missing");
    assert_eq!(with_name("name = ' ',"), "`name` must not be empty");
    assert_eq!(with_name("name = true,"), "`name` must be a string or a number, not a boolean");
}

#[test]
fn stages_are_required_each_with_a_name_and_a_script() {
    let with_stages = |stages: &str| refused(read(&format!("return {{ name = 'p', {stages} }}")));
    let stage =
        |fields| with_stages(&format!("stages = {{ {{ name = 'a', script = print }}, {{ {fields} }} }}"));
    assert_eq!(with_stages(""), "`stages` is missing");
    assert_eq!(with_stages("stages = {}"), "`stages` must have at least one stage");
    assert_eq!(with_stages("stages = 'build'"), "`stages` must be a table, not a string");
    assert_eq!(stage("script = print"), "`stages[2].name` is missing");
    assert_eq!(stage("name = 'b'"), "`stages[2].script` is missing");
    assert_eq!(stage("name = 'b', script = 'make'"), "`stages[2].script` must be a function, not a string");
    assert_eq!(
        stage("name = 'b', script = print, container = {}"),
        "`stages[2].container` must be a string, not a table"
    );
    assert_eq!(
        stage("name = 'b', script = print, condition = true"),
        "`stages[2].condition` must be a function, not a boolean"
    );
}

#[test]
fn a_field_of_the_wrong_type_is_named() {
    for (fields, refusal) in [
        ("description = 1", "`description` must be a string, not a number"),
        ("requires = 'docker'", "`requires` must be a table, not a string"),
        ("requires = { 'docker', '' }", "`requires[2]` must not be empty"),
        ("requires = { 'docker', 7 }", "`requires[2]` must be a string, not a number"),
        ("requires = { 'a', nil, 'b' }", "`requires` must be a list without gaps or named fields"),
        ("requires = { 'a', n = 1 }", "`requires` must be a list without gaps or named fields"),
        ("plugins = { {} }", "`plugins[1]` must be a string, not a table"),
        ("runner = { 'linux' }", "`runner[1]` must be a table, not a string"),
        ("runner = { { key = 'os' } }", "`runner[1].value` is missing"),
        ("inputs = { 'x' }", "`inputs` must have names as keys, not a list"),
        ("inputs = { x = 'string' }", "`inputs.x` must be a table, not a string"),
        ("inputs = { x = {} }", "`inputs.x.type` is missing"),
        (
            "inputs = { x = { type = 'bool', required = 'yes' } }",
            "`inputs.x.required` must be a boolean, not a string",
        ),
        ("inputs = { x = { type = 'number', default = 0/0 } }", "`inputs.x.default` must be a finite number"),
        (
            "inputs = { x = { type = 'string', options = { 'a', {} } } }",
            "`inputs.x.options[2]` must be a string, a number or a boolean, not a table",
        ),
        ("config = 5", "`config` must be a table, not a number"),
        (
            "config = { env_vars = { ['A=B'] = '' } }",
            "`config.env_vars` must not have a variable named \"A=B\"",
        ),
        ("config = { env_vars = { PORT = 80 } }", "`config.env_vars.PORT` must be a string, not a number"),
        (
            "config = { max_retries = -1 }",
            "`config.max_retries` must be a whole number, not negative and not too large",
        ),
        (
            "config = { max_retries = 1.5 }",
            "`config.max_retries` must be a whole number, not negative and not too large",
        ),
        ("config = { timeout_seconds = 86401 }", "`config.timeout_seconds` must be from 1 to 86400"),
        ("config = { priority = 10 }", "`config.priority` must be from 0 to 9"),
        ("config = { concurrency_limit = 0 }", "`config.concurrency_limit` must be from 1 to 10000"),
        (
            "config = { concurrency_policy = 'drop' }",
            "`config.concurrency_policy` must be `queue` or `cancel_older`",
        ),
    ] {
        assert_eq!(refused(read_with(fields)), refusal, "{fields}");
    }
}

#[test]
fn text_is_utf8_without_nul() {
    assert_eq!(refused(read_with(r"description = 'a\0b'")), "`description` must not contain a NUL character");
    assert_eq!(refused(read_with(r"description = '\xff'")), "`description` must be valid UTF-8");
    assert_eq!(
        refused(read_with(r"config = { env_vars = { ['A\0'] = '1' } }")),
        "`config.env_vars` must not contain a NUL character"
    );
}

#[test]
fn an_unknown_input_type_is_kept_for_the_launch_to_refuse() {
    let definition = read_with("inputs = { x = { type = 'file' } }").unwrap();
    assert_eq!(definition.inputs["x"].kind, "file");
}

#[test]
fn lua_integers_become_json_integers() {
    let definition = read_with("inputs = { x = { type = 'number', options = { 1, 1.5, -3 } } }").unwrap();
    assert_eq!(definition.inputs["x"].options, Some(vec![json!(1), json!(1.5), json!(-3)]));
}

#[test]
fn unknown_fields_are_ignored() {
    assert!(read_with("triggers = { push = true }, [1] = 'x', config = { shell = 'sh' }").is_ok());
}

#[test]
fn metatables_have_no_say() {
    let script = format!(
        "return setmetatable({{ {STAGE} }}, {{ __index = function() return 'p' end, __pairs = error, __len = error }})"
    );
    assert_eq!(refused(read(&script)), "`name` is missing");
}
