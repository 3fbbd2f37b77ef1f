//! `GET /api/stubs`: annotated Lua of the modules that a pipeline may use, for editors.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ApiError;
use super::extract::Path;
use crate::stubs;

/// A Lua module, annotated for editors.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"name": "log.lua", "content": "---@meta\n"}))]
pub(super) struct Stub {
    name: &'static str,
    content: &'static str,
}

/// List the Lua modules that a script may use.
#[utoipa::path(
    get, path = "/api/stubs", operation_id = "listStubs", tag = "Pipelines",
    responses((status = 200, description = "Their names", body = [String], example = json!(["log.lua", "process.lua"])))
)]
pub(super) async fn list() -> Json<Vec<&'static str>> {
    Json(stubs::all().iter().map(|stub| stub.name).collect())
}

/// Get a Lua module, annotated for editors.
#[utoipa::path(
    get, path = "/api/stubs/{name}", operation_id = "getStub", tag = "Pipelines",
    params(("name" = String, Path, description = "The module, such as `log.lua`")),
    responses(
        (status = 200, description = "The module", body = Stub),
        (status = 404, description = "`stub_not_found`"),
    )
)]
pub(super) async fn get(Path(name): Path<String>) -> Result<Json<Stub>, ApiError> {
    let stub = stubs::find(&name)
        .ok_or_else(|| ApiError::not_found("stub_not_found", format!("there is no stub {name:?}")))?;
    Ok(Json(Stub { name: stub.name, content: stub.content }))
}
