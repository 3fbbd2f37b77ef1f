//! Annotated Lua of the modules that a pipeline may use, for editors.

use axum::Json;
use serde_json::{Value, json};

use super::error::ApiError;
use super::extract::Path;
use crate::stubs;

pub(super) async fn list() -> Json<Vec<&'static str>> {
    Json(stubs::all().iter().map(|stub| stub.name).collect())
}

pub(super) async fn get(Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    let stub = stubs::find(&name)
        .ok_or_else(|| ApiError::not_found("stub_not_found", format!("there is no stub {name:?}")))?;
    Ok(Json(json!({"name": stub.name, "content": stub.content})))
}
