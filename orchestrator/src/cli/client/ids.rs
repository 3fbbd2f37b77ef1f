//! Ids by their beginnings: commands accept the beginning of an id, and lists print ids no longer than needed.

use std::io::{self, IsTerminal};

use anyhow::{bail, ensure};
use rivet_events::id::JobId;
use serde_json::Value;

use super::{Client, ClientOptions, Moment, items, text, time};

/// Fewest characters of a shortened id. They say when it was made, to the millisecond, and so tell it apart from ids
/// that are not in the list too, except those of the same millisecond.
const SHORTEST: usize = 13;
/// Fewest characters by which the server finds a job.
const SEARCHABLE: usize = 8;
/// Jobs that a search asks for, and items that are shown where a text stands for several. Two with the same beginning
/// are already too many; the others leave room for jobs that the server finds by the same text in a name.
const FEW: usize = 8;

impl ClientOptions {
    /// A client, and the id of the job that `start` is the beginning of.
    pub(in crate::cli) async fn job(&self, start: &str) -> anyhow::Result<(Client, String)> {
        let client = Client::new(self)?;
        let id = find_job(&client, start).await?;
        Ok((client, id))
    }

    /// A client, and the id of the pipeline that `start` is the beginning of, or the name.
    pub(in crate::cli) async fn pipeline(&self, start: &str) -> anyhow::Result<(Client, String)> {
        let client = Client::new(self)?;
        let id = find_pipeline(&client, start, &Moment::default()).await?;
        Ok((client, id))
    }
}

/// The id of the job that `start` is the beginning of.
async fn find_job(client: &Client, start: &str) -> anyhow::Result<String> {
    if is_whole(start) {
        return Ok(start.to_owned());
    }
    let is_of_id = |letter: u8| letter.is_ascii_hexdigit() || letter == b'-';
    ensure!(start.bytes().all(is_of_id), "{start:?} is not the beginning of an id");
    ensure!(start.len() >= SEARCHABLE, "{start:?} is too short: give {SEARCHABLE} characters of the id");
    let found = client.list(&["jobs"], &[("search", start)], FEW).await?;
    choose("job", items(&found), start)
}

/// The id of the pipeline that `start` is the beginning of at this moment, or the name.
pub(in crate::cli) async fn find_pipeline(
    client: &Client,
    start: &str,
    moment: &Moment,
) -> anyhow::Result<String> {
    if is_whole(start) {
        return Ok(start.to_owned());
    }
    let list = client.list(&["pipeline", "list"], moment.query().as_slice(), usize::MAX).await?;
    choose("pipeline", items(&list), start)
}

/// Whether a text is a whole id. All kinds of ids have the same form.
fn is_whole(id: &str) -> bool {
    id.parse::<JobId>().is_ok()
}

/// The pipelines of this name.
pub(in crate::cli) async fn pipelines_named(client: &Client, name: &str) -> anyhow::Result<Vec<Value>> {
    let list = client.list(&["pipeline", "list"], &[], usize::MAX).await?;
    Ok(items(&list).iter().filter(|pipeline| pipeline["name"] == name).cloned().collect())
}

fn choose(what: &str, list: &[Value], start: &str) -> anyhow::Result<String> {
    let lower = start.to_ascii_lowercase();
    let is_begun = |item: &&Value| !lower.is_empty() && text(item, "id").starts_with(&lower);
    let begun: Vec<&Value> = list.iter().filter(is_begun).collect();
    let named: Vec<&Value> = list.iter().filter(|item| item["name"] == start).collect();
    // A full name takes precedence over the beginning of several ids.
    let found = if begun.len() == 1 || named.is_empty() { begun } else { named };
    match found[..] {
        [only] => Ok(text(only, "id").to_owned()),
        [] => bail!("there is no {what} {start:?}"),
        _ => bail!(ambiguity(what, found.iter().copied(), start)),
    }
}

/// What to say where a text stands for several items: what tells them apart, of some of them.
pub(in crate::cli) fn ambiguity<'a>(
    what: &str,
    found: impl IntoIterator<Item = &'a Value>,
    start: &str,
) -> String {
    let items = found.into_iter().take(FEW).map(|item| {
        let id = text(item, "id");
        match item["version"].as_u64() {
            Some(version) => format!("\n  {id}  version {version}, created {}", time(&item["created_at"])),
            None => format!("\n  {id}  {}, requested {}", text(item, "status"), time(&item["requested_at"])),
        }
    });
    format!("{start:?} stands for several {what}s, give more of the id:{}", items.collect::<String>())
}

/// The ids of a list as they are printed: whole, but on a terminal, for people who type them, as short as commands
/// accept them.
pub(in crate::cli) fn shown(list: &Value) -> Vec<&str> {
    let ids = items(list).iter().map(|item| text(item, "id")).collect();
    if io::stdout().is_terminal() { shortest(ids) } else { ids }
}

/// Each id, as short as it can be told apart from the others.
fn shortest(ids: Vec<&str>) -> Vec<&str> {
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    sorted.dedup();
    let common = |a: &str, b: &str| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let length = |id: &str| {
        let at = sorted.partition_point(|other| *other < id);
        let before = at.checked_sub(1).map_or(0, |before| common(sorted[before], id));
        let after = sorted.get(at + 1).map_or(0, |after| common(after, id));
        (before.max(after) + 1).max(SHORTEST)
    };
    ids.into_iter().map(|id| id.get(..length(id)).unwrap_or(id).trim_end_matches('-')).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_as_short_as_they_can_be_told_from_what_is_listed_beside_them() {
        let ids = ["ffffffff-0000-7000", "01a21412-3c2b-7000", "01a21412-3c2a-7000", "01a21412-3c2a-7100"];
        let short = ["ffffffff-0000", "01a21412-3c2b", "01a21412-3c2a-70", "01a21412-3c2a-71"];
        assert_eq!(shortest(ids.to_vec()), short);
        assert_eq!(shortest(vec!["short", "short"]), ["short", "short"]);
    }

    #[test]
    fn an_id_is_printed_as_it_is_accepted() {
        let list: Vec<Value> =
            (0..40).map(|n| json!({"id": format!("01a21412-3c2a-70{n:02}-8000")})).collect();
        let whole: Vec<&str> = list.iter().map(|item| text(item, "id")).collect();
        for (id, shown) in whole.iter().zip(shortest(whole.clone())) {
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
        assert!(chosen("ab").unwrap_err().contains("\"ab\" stands for several pipelines"));
        assert_eq!(chosen("abd"), Ok("fff4".to_owned()));
        assert_eq!(chosen("a-name-that-is-longer-than-any-id-can-be"), Ok("fff5".to_owned()));
        assert!(chosen("two").unwrap_err().contains("give more of the id"));
        assert!(chosen("x").unwrap_err().contains("no pipeline"));
        assert!(chosen("").is_err());
    }
}
