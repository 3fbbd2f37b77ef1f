//! The description of the API: it is current, it describes every route, and it names every error.

use std::collections::BTreeSet;
use std::process::Command;

use rivet_tests::program;
use rivet_tests::server::TestApp;
use rivet_tests::store::StoreKind;
use serde_json::Value;

const COMMITTED: &str = include_str!("../../docs/openapi.json");
const ROUTES: &str = include_str!("../../orchestrator/src/http/mod.rs");
const PROBLEMS: &str = include_str!("../../docs/problems.md");
const API: &str = include_str!("../../docs/api.md");

/// Pages for people, and their files: the dashboard and the page that shows the description. They are not part of the
/// API.
const PAGES: [&str; 3] = ["/", "/assets", "/docs"];
const METHODS: [&str; 4] = ["get", "put", "post", "delete"];

fn document() -> Value {
    serde_json::from_str(COMMITTED).expect("docs/openapi.json is JSON")
}

/// An operation of the description, with the answers that it refers to in their places.
struct Operation {
    method: String,
    path: String,
    value: Value,
}

fn operations() -> Vec<Operation> {
    let document = document();
    let paths = document["paths"].as_object().expect("paths are an object").clone();
    let mut operations = vec![];
    for (path, item) in paths {
        for (method, mut value) in item.as_object().expect("a path is an object").clone() {
            for response in value["responses"].as_object_mut().expect("responses are an object").values_mut()
            {
                if let Some(name) = response["$ref"].as_str() {
                    *response = named(&document, name).clone();
                }
            }
            operations.push(Operation { method, path: path.clone(), value });
        }
    }
    operations
}

/// The part of the document that a reference names.
fn named<'a>(document: &'a Value, reference: &str) -> &'a Value {
    let found = document.pointer(reference.trim_start_matches('#'));
    found.unwrap_or_else(|| panic!("there is no {reference}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_committed_description_is_what_a_server_serves() {
    const WRITE: &str = "cargo run -- openapi > docs/openapi.json";
    let app = TestApp::start(StoreKind::Sqlite).await;
    let served = app.client().get("/api/openapi.json").await;
    assert_eq!((served.status, served.header("content-type")), (200, Some("application/json")));
    assert!(served.text == COMMITTED, "docs/openapi.json is not current: {WRITE}");
    let printed = Command::new(program::path()).arg("openapi").output().expect("the program runs");
    assert!(printed.stdout == served.text.as_bytes(), "the command prints something else");
    let page = app.client().get("/docs/").await;
    assert!(page.text.contains("<title>Rivet Orchestrator API</title>"), "{}", page.text);
}

#[test]
fn every_route_is_described_and_every_description_has_a_route() {
    let described: BTreeSet<String> =
        operations().iter().map(|operation| format!("{} {}", operation.method, operation.path)).collect();
    let routes = routes(ROUTES);
    let missing: Vec<&String> = routes.difference(&described).collect();
    assert!(missing.is_empty(), "not described in orchestrator/src/http/openapi.rs: {missing:?}");
    let surplus: Vec<&String> = described.difference(&routes).collect();
    assert!(surplus.is_empty(), "described, and no route: {surplus:?}");
}

/// The routes in the source file that defines them, as `method path`.
fn routes(page: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for route in page.split(".route(").skip(1) {
        let mut parts = route.splitn(3, '"').skip(1);
        let (path, handlers) =
            parts.next().zip(parts.next()).expect("a route has a path and what answers at it");
        let handlers = handlers.split(".layer(").next().unwrap_or_default();
        for method in METHODS {
            let at = format!("{method}(");
            let is_there = handlers
                .match_indices(&at)
                .any(|(at, _)| at == 0 || matches!(handlers.as_bytes()[at - 1], b' ' | b'.' | b'(' | b'\n'));
            if is_there && !is_page(path) {
                found.extend(templates(path, method).map(|path| format!("{method} {path}")));
            }
        }
    }
    found
}

/// The paths that one route stands for: to the router, an id with slashes and what follows it are one parameter.
fn templates<'a>(path: &'a str, method: &str) -> impl Iterator<Item = &'a str> {
    let paths = match (path, method) {
        ("/api/runners/{*id}", "post") => vec!["/api/runners/{id}/heartbeat"],
        ("/api/runners/register", "get" | "delete") | ("/api/runners/{*id}", _) => vec!["/api/runners/{id}"],
        ("/api/projections/{name}/parked/{*path}", _) => vec![
            "/api/projections/{name}/parked/{stream}/retry",
            "/api/projections/{name}/parked/{stream}/skip",
        ],
        (path, _) => vec![path],
    };
    paths.into_iter()
}

/// Whether a path is that of a page, or below one.
fn is_page(path: &str) -> bool {
    PAGES
        .iter()
        .any(|page| path.strip_prefix(page).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

#[test]
fn a_route_is_found_on_the_page() {
    let page = r#"Router::new()
        .route("/api/a/{id}", get(a::get).delete(a::delete))
        .route(
            // A comment.
            "/api/runners/{*id}",
            post(heartbeat),
        )
        .route("/docs/{file}", get(docs))
        .route("/", get(page))
        .layer(from_fn(put))"#;
    let expected = ["delete /api/a/{id}", "get /api/a/{id}", "post /api/runners/{id}/heartbeat"];
    assert_eq!(routes(page), BTreeSet::from(expected.map(str::to_owned)));
}

#[test]
fn a_get_waits_for_the_read_models_unless_it_is_answered_at_once() {
    let (_, at_once) =
        ROUTES.split_once("\nfn at_once()").expect("the routes that do not wait are a function");
    let (at_once, _) = at_once.split_once("\n}\n").expect("a function ends");
    let at_once = routes(at_once);
    for Operation { method, path, value } in operations().iter().filter(|operation| operation.method == "get")
    {
        let mut parameters = value["parameters"].as_array().into_iter().flatten();
        let waits = parameters.any(|parameter| parameter["name"] == "Rivet-Min-Position");
        assert_eq!(waits, !at_once.contains(&format!("{method} {path}")), "{method} {path}");
    }
    let told = API.lines().find(|line| line.starts_with("What uses no read model does not wait: "));
    let told = told.expect("docs/api.md says what does not wait").split('`').skip(1).step_by(2);
    assert_eq!(told.map(|path| format!("get {path}")).collect::<BTreeSet<_>>(), at_once);
}

#[test]
fn the_path_of_a_parked_stream_begins_with_a_kind_of_stream() {
    let document = document();
    let kinds = document.pointer("/components/schemas/StreamType/enum").and_then(Value::as_array);
    let kinds: Vec<&str> = kinds.expect("kinds are listed").iter().filter_map(Value::as_str).collect();
    let parked: Vec<Operation> =
        operations().into_iter().filter(|operation| operation.path.contains("{stream}")).collect();
    assert_eq!(parked.len(), 2);
    for Operation { path, value, .. } in parked {
        let parameters = value["parameters"].as_array().expect("parameters are a list");
        let stream = parameters.iter().find(|parameter| parameter["name"] == "stream");
        let pattern = stream.and_then(|stream| stream.pointer("/schema/pattern"));
        assert_eq!(pattern, Some(&format!("^({})/.+$", kinds.join("|")).into()), "{path}");
    }
}

#[test]
fn every_operation_is_explained_with_examples() {
    let document = document();
    let mut ids = BTreeSet::new();
    for Operation { method, path, value } in operations() {
        let place = format!("{method} {path}");
        for member in ["summary", "operationId"] {
            assert!(value[member].as_str().is_some_and(|text| !text.is_empty()), "{place} has no {member}");
        }
        assert!(ids.insert(value["operationId"].to_string()), "{place} has the id of another");
        let known = document["tags"].as_array().expect("tags are a list");
        assert!(
            known.iter().any(|tag| tag["name"] == value["tags"][0]),
            "{place} has no tag that is explained"
        );
        for parameter in value["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].is_string(), "{place}: {parameter} is not explained");
        }
        let body = &value["requestBody"];
        assert!(body.is_null() || has_example(&document, body), "{place}: its body has no example");
        let responses = value["responses"].as_object().expect("responses are an object");
        assert!(responses.keys().any(|status| status.starts_with('2')), "{place} never succeeds");
        for (status, response) in responses {
            for (name, header) in response["headers"].as_object().into_iter().flatten() {
                assert!(header["description"].is_string(), "{place} {status}: {name} is not explained");
            }
            let is_text = response["content"].get("text/plain").is_some();
            let is_shown = response.get("content").is_none() || is_text || has_example(&document, response);
            assert!(is_shown, "{place} {status} has no example");
        }
    }
}

/// Whether a body has an example, of its own or in its schema.
fn has_example(document: &Value, body: &Value) -> bool {
    let contents = body["content"].as_object().expect("a body has contents");
    contents
        .values()
        .all(|content| !content["example"].is_null() || has_schema_example(document, &content["schema"]))
}

/// Whether a schema has an example, or consists of schemas that have one, from which a reader can compose it.
fn has_schema_example(document: &Value, schema: &Value) -> bool {
    let alternatives = schema["oneOf"].as_array().into_iter().flatten();
    let members = schema["properties"].as_object().into_iter().flat_map(|members| members.values());
    !schema["example"].is_null()
        || !schema["examples"].is_null()
        || schema["$ref"].as_str().is_some_and(|name| has_schema_example(document, named(document, name)))
        || schema.get("items").is_some_and(|items| has_schema_example(document, items))
        || alternatives.chain(members).any(|schema| has_schema_example(document, schema))
}

#[test]
fn every_error_has_its_code_and_every_code_its_place() {
    let mut codes = BTreeSet::new();
    for Operation { method, path, value } in operations() {
        for (status, response) in value["responses"].as_object().expect("responses are an object") {
            if status.starts_with('2') {
                continue;
            }
            let problem = &response["content"]["application/problem+json"];
            let listed = problem.pointer("/schema/allOf/1/properties/code/enum").and_then(Value::as_array);
            let listed = listed.unwrap_or_else(|| panic!("{method} {path} {status} names no codes"));
            codes.extend(
                listed.iter().filter_map(Value::as_str).map(|code| (status.clone(), code.to_owned())),
            );
            let headers = &response["headers"];
            assert!(status != "503" || headers.get("Retry-After").is_some(), "{method} {path} {status}");
        }
    }
    let documented = documented_codes();
    for code in &codes {
        assert!(documented.contains(code), "docs/problems.md has no {code:?}");
    }
    // Codes that no described endpoint has.
    let elsewhere = ["unknown_path", "method_not_allowed", "pipeline_exists"];
    for (status, code) in documented {
        let is_named = codes.contains(&(status.clone(), code.clone()));
        assert!(is_named || elsewhere.contains(&&*code), "no operation is refused with {status} {code}");
    }
}

/// Status and code of each entry of docs/problems.md.
fn documented_codes() -> BTreeSet<(String, String)> {
    let sections = PROBLEMS.split("\n## ").skip(1);
    let codes = sections.flat_map(|section| {
        let status = section.get(..3).expect("a section begins with a status").to_owned();
        section
            .lines()
            .filter_map(|line| line.strip_prefix("### "))
            .map(move |code| (status.clone(), code.to_owned()))
    });
    codes.collect()
}
