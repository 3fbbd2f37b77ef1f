//! Proves the read models: folds the whole log again beside the live ones, and compares row by row.
