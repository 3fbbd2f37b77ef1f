//! Where the read models stand, and building them anew.

pub(super) mod list;
pub(super) mod rebuild;
