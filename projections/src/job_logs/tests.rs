//! Given events, then rows.
