//! What is written is read back, and damage is told.
