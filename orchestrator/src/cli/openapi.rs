//! `openapi`: the description of the API, as a server of this build serves it.

use std::io::{self, Write};

use crate::http;

pub(super) fn run() -> anyhow::Result<()> {
    Ok(io::stdout().write_all(http::document().as_bytes())?)
}
