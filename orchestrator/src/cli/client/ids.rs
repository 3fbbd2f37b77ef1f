//! Ids by their beginnings: whoever types one types no more of it than needed.

use anyhow::bail;
use serde_json::Value;

use super::{Client, items, text};

/// Characters that an id is shortened to at least.
const SHORTEST: usize = 8;
/// Length of a whole id.
const WHOLE: usize = 36;
/// Newest resources among which a beginning is looked for.
const NEWEST: &str = "1000";

/// The id of the job that `start` is the beginning of.
pub(in crate::cli) async fn find_job(client: &Client, start: &str) -> anyhow::Result<String> {
    find(client, "job", &["jobs"], start).await
}

/// The id of the pipeline that `start` is the beginning of, or the name.
pub(in crate::cli) async fn find_pipeline(client: &Client, start: &str) -> anyhow::Result<String> {
    find(client, "pipeline", &["pipeline", "list"], start).await
}

async fn find(client: &Client, what: &str, path: &[&str], start: &str) -> anyhow::Result<String> {
    if start.len() >= WHOLE {
        return Ok(start.to_owned());
    }
    let list = client.get(path, &[("limit", NEWEST)]).await?;
    choose(what, items(&list), start)
}

fn choose(what: &str, list: &[Value], start: &str) -> anyhow::Result<String> {
    let lower = start.to_ascii_lowercase();
    let mut found: Vec<&str> = list
        .iter()
        .map(|item| text(item, "id"))
        .filter(|id| !lower.is_empty() && id.starts_with(&lower))
        .collect();
    if found.is_empty() {
        found = list.iter().filter(|item| item["name"] == start).map(|item| text(item, "id")).collect();
    }
    match found[..] {
        [only] => Ok(only.to_owned()),
        [] => bail!("no {what} among the newest {NEWEST} begins with {start:?}"),
        [first, second, ..] => {
            bail!(
                "{start:?} is {} {what}s, {first} and {second} among them: give more of the id",
                found.len()
            )
        }
    }
}

/// Each id as short as it can be told from the others.
pub(in crate::cli) fn shortest<'a>(ids: &[&'a str]) -> Vec<&'a str> {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let common = |a: &str, b: &str| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let length = |id: &str| {
        let at = sorted.partition_point(|other| *other < id);
        let before = at.checked_sub(1).map_or(0, |before| common(sorted[before], id));
        let after = sorted.get(at + 1).map_or(0, |after| common(after, id));
        (before.max(after) + 1).max(SHORTEST)
    };
    ids.iter().map(|id| id.get(..length(id)).unwrap_or(id).trim_end_matches('-')).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_as_short_as_they_can_be_told_apart() {
        let ids = ["01a21412-3c2a-7000", "01a21412-3c2b-7000", "ffffffff-0000-7000"];
        assert_eq!(shortest(&ids), ["01a21412-3c2a", "01a21412-3c2b", "ffffffff"]);
        assert_eq!(shortest(&["short", "short"]), ["short", "short"]);
        assert_eq!(shortest(&[]), Vec::<&str>::new());
    }

    #[test]
    fn a_beginning_must_fit_one_alone() {
        let list = [
            json!({"id": "abc1", "name": "one"}),
            json!({"id": "abd2", "name": "two"}),
            json!({"id": "abd3", "name": "two"}),
        ];
        let chosen = |start: &str| choose("pipeline", &list, start).map_err(|error| error.to_string());
        assert_eq!(chosen("ABC"), Ok("abc1".to_owned()));
        assert_eq!(chosen("one"), Ok("abc1".to_owned()));
        assert!(chosen("abd").unwrap_err().contains("\"abd\" is 2 pipelines"));
        assert!(chosen("two").unwrap_err().contains("give more of the id"));
        assert!(chosen("x").unwrap_err().contains("no pipeline"));
        assert!(chosen("").is_err());
    }
}
