//! Ids by their beginnings: whoever types one types no more of it than needed.

use std::io::{self, IsTerminal};

use anyhow::bail;
use rivet_events::id::JobId;
use serde_json::Value;

use super::{Client, items, text};

/// Characters that an id is shortened to at least.
const SHORTEST: usize = 8;
/// Newest resources among which a beginning is looked for.
const NEWEST: &str = "1000";

/// Where jobs are listed.
const JOBS: [&str; 1] = ["jobs"];
/// Where pipelines are listed.
const PIPELINES: [&str; 2] = ["pipeline", "list"];

/// The id of the job that `start` is the beginning of.
pub(in crate::cli) async fn find_job(client: &Client, start: &str) -> anyhow::Result<String> {
    find(client, "job", &JOBS, start).await
}

/// The id of the pipeline that `start` is the beginning of, or the name.
pub(in crate::cli) async fn find_pipeline(client: &Client, start: &str) -> anyhow::Result<String> {
    find(client, "pipeline", &PIPELINES, start).await
}

/// The ids of listed jobs, as they are printed.
pub(in crate::cli) async fn shown_jobs<'a>(client: &Client, list: &'a Value) -> anyhow::Result<Vec<&'a str>> {
    shown(client, &JOBS, list).await
}

/// The ids of listed pipelines, as they are printed.
pub(in crate::cli) async fn shown_pipelines<'a>(
    client: &Client,
    list: &'a Value,
) -> anyhow::Result<Vec<&'a str>> {
    shown(client, &PIPELINES, list).await
}

async fn find(client: &Client, what: &str, path: &[&str], start: &str) -> anyhow::Result<String> {
    // All ids look alike.
    if start.parse::<JobId>().is_ok() {
        return Ok(start.to_owned());
    }
    let list = newest(client, path).await?;
    choose(what, items(&list), start)
}

fn choose(what: &str, list: &[Value], start: &str) -> anyhow::Result<String> {
    let lower = start.to_ascii_lowercase();
    let begun: Vec<&str> = list
        .iter()
        .map(|item| text(item, "id"))
        .filter(|id| !lower.is_empty() && id.starts_with(&lower))
        .collect();
    let named: Vec<&str> =
        list.iter().filter(|item| item["name"] == start).map(|item| text(item, "id")).collect();
    // A name that is given in full means more than a beginning of many.
    let found = if begun.len() == 1 || named.is_empty() { begun } else { named };
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

async fn newest(client: &Client, path: &[&str]) -> anyhow::Result<Value> {
    client.get(path, &[("limit", NEWEST)]).await
}

/// On a terminal as short as the commands take them, for who types them; and else whole.
async fn shown<'a>(client: &Client, path: &[&str], list: &'a Value) -> anyhow::Result<Vec<&'a str>> {
    let ids = ids_of(list);
    if ids.is_empty() || !io::stdout().is_terminal() {
        return Ok(ids);
    }
    let newest = newest(client, path).await?;
    Ok(shortest(&ids, &ids_of(&newest)))
}

fn ids_of(list: &Value) -> Vec<&str> {
    items(list).iter().map(|item| text(item, "id")).collect()
}

/// Each id as short as it can be told from all of the newest; one that is not among them is whole.
fn shortest<'a>(ids: &[&'a str], newest: &[&str]) -> Vec<&'a str> {
    let mut sorted = newest.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let common = |a: &str, b: &str| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let length = |id: &str| {
        let Ok(at) = sorted.binary_search(&id) else { return id.len() };
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
    fn ids_are_as_short_as_they_can_be_told_from_all_that_are_looked_at() {
        let newest = ["ffffffff-0000-7000", "01a21412-3c2b-7000", "01a21412-3c2a-7000"];
        assert_eq!(shortest(&newest, &newest), ["ffffffff", "01a21412-3c2b", "01a21412-3c2a"]);
        assert_eq!(shortest(&newest[2..], &newest), ["01a21412-3c2a"]);
        assert_eq!(shortest(&["00000000-0000-7000"], &newest), ["00000000-0000-7000"]);
        assert_eq!(shortest(&["short", "short"], &["short"]), ["short", "short"]);
    }

    #[test]
    fn an_id_is_printed_as_it_is_accepted() {
        let list: Vec<Value> =
            (0..40).map(|n| json!({"id": format!("01a21412-3c{n:02}-7000-8000")})).collect();
        let whole: Vec<&str> = list.iter().map(|item| text(item, "id")).collect();
        for (id, shown) in whole.iter().zip(shortest(&whole[..3], &whole)) {
            assert_eq!(choose("job", &list, shown).unwrap(), *id);
        }
    }

    #[test]
    fn a_beginning_must_fit_one_alone() {
        let list = [
            json!({"id": "abc1", "name": "one"}),
            json!({"id": "abd2", "name": "two"}),
            json!({"id": "abd3", "name": "two"}),
            json!({"id": "fff4", "name": "abd"}),
            json!({"id": "fff5", "name": "a-name-that-is-longer-than-any-id-can-be"}),
        ];
        let chosen = |start: &str| choose("pipeline", &list, start).map_err(|error| error.to_string());
        assert_eq!(chosen("ABC"), Ok("abc1".to_owned()));
        assert_eq!(chosen("one"), Ok("abc1".to_owned()));
        assert!(chosen("ab").unwrap_err().contains("\"ab\" is 3 pipelines"));
        assert_eq!(chosen("abd"), Ok("fff4".to_owned()));
        assert_eq!(chosen("a-name-that-is-longer-than-any-id-can-be"), Ok("fff5".to_owned()));
        assert!(chosen("two").unwrap_err().contains("give more of the id"));
        assert!(chosen("x").unwrap_err().contains("no pipeline"));
        assert!(chosen("").is_err());
    }
}
