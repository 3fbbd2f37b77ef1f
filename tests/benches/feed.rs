//! Readers of the feed and a webhook under a load of jobs: two readers and the receiver are cut off at random, and
//! the server is killed and started again halfway. Prints what was lost, what came twice, and how late events came.
//!
//! `cargo bench -p rivet-tests --bench feed [-- RATE [SECONDS [FOLLOWERS]]]`: by default 500 lives of jobs a second
//! for 20 s, and 100 further readers that are not cut off; on SQLite and on PostgreSQL with its default settings. A
//! life is a launch, a claim, a log batch and a completion: five events. At the end, a new webhook gets all of them,
//! one by one and then in batches, and the rate of these deliveries is printed.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and ends where it cannot go on"
)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rivet_tests::dice::Dice;
use rivet_tests::followers::{Seen, Target, follow, live};
use rivet_tests::receiver::{Received, Receiver};
use rivet_tests::sample::{WEBHOOK_SECRET, new_pipeline};
use rivet_tests::server::Server;
use rivet_tests::store::{Store, StoreKind};
use rivet_tests::verify::head;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

const FLAGS: [&str; 3] = ["--allow-private-webhooks", "--log-filter", "warn"];
/// Longest wait for the webhook after the load.
const PATIENCE: Duration = Duration::from_mins(5);

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse().ok());
    let rate: u32 = numbers.next().unwrap_or(500);
    let seconds = numbers.next().unwrap_or(20);
    let followers = numbers.next().unwrap_or(100);
    println!(
        "| store | lives | events | readers: returns, lost, twice | median, 99 % behind the first reader | webhook: copies, in order, done after the load | the whole log by a webhook: one by one, in batches |"
    );
    println!("|---|---|---|---|---|---|---|");
    for kind in [StoreKind::Sqlite, StoreKind::Postgres] {
        let store = Store::durable(kind).await;
        let load = Duration::from_secs(u64::from(seconds));
        println!("{}", measure(kind, &store, rate, load, followers).await);
    }
}

async fn measure(kind: StoreKind, store: &Store, rate: u32, load: Duration, followers: u32) -> String {
    let server = Server::start(store, &FLAGS).await;
    let target = Target::new(server.client());
    let receiver = Receiver::start().await;
    let webhook = json!({"url": receiver.url("/"), "secret": WEBHOOK_SECRET, "types": ["job.launched", "job.completed"]});
    target.client().post("/api/webhooks", &webhook).await.expect(201);
    let pipeline = new_pipeline(&target.client()).await;

    let end = Arc::new(AtomicU64::new(0));
    let mut readers = JoinSet::new();
    for (longest, seed) in
        [(200, 1), (2_000, 2)].into_iter().chain((0..followers).map(|seed| (u64::MAX >> 31, u64::from(seed))))
    {
        let (target, end) = (target.clone(), Arc::clone(&end));
        let known_end = move || Some(end.load(Ordering::Relaxed)).filter(|end| *end > 0);
        readers.spawn(async move { (longest, follow(target, longest, Dice::new(seed), known_end).await) });
    }
    let restart = async {
        for _ in 0..3 {
            sleep(load / 6).await;
            receiver.answer_next(["", "503 Later"]);
        }
        server.kill();
        let server = Server::start(store, &FLAGS).await;
        target.moved(server.client());
        server
    };
    let (lives, server) = tokio::join!(live(&target, &pipeline, rate, load), restart);
    let head = head(&server.client()).await;
    end.store(head, Ordering::Relaxed);
    server.client().heartbeat("late").await.expect(204);
    let loaded = Instant::now();
    let seen: Vec<(u64, Seen)> = readers.join_all().await;
    let (copies, in_order) = delivered(&server, &receiver).await;
    let after = loaded.elapsed().as_secs_f64();

    let cut: Vec<&Seen> =
        seen.iter().filter(|(longest, _)| *longest <= 2_000).map(|(_, seen)| seen).collect();
    let returns: usize = cut.iter().map(|seen| seen.returns).sum();
    let all = || seen.iter().map(|(_, seen)| seen);
    let lost: usize = all().map(|seen| missing(seen, head)).sum();
    let twice: usize = all().map(|seen| seen.positions.len() - distinct(seen)).sum();
    let (median, late) = lags(&all().collect::<Vec<_>>(), head);
    format!(
        "| {kind:?} | {lives} | {head} | {returns}, {lost}, {twice} (of {} readers) | {median:.0} ms, {late:.0} ms | {copies}, {in_order}, {after:.1} s | {:.0}, {:.0} events/s |",
        seen.len(),
        pace(&server, head, &Value::Null).await,
        pace(&server, head, &json!(256)).await,
    )
}

fn distinct(seen: &Seen) -> usize {
    seen.positions.iter().collect::<BTreeSet<_>>().len()
}

fn missing(seen: &Seen, head: u64) -> usize {
    let known: BTreeSet<u64> = seen.positions.iter().copied().collect();
    (1..=head).filter(|position| !known.contains(position)).count()
}

/// How much later than the first reader the others got an event, in milliseconds: the median and the 99th percentile.
fn lags(readers: &[&Seen], head: u64) -> (f64, f64) {
    let mut first = vec![None::<Instant>; usize::try_from(head).unwrap() + 1];
    let place = |position: u64| usize::try_from(position).ok().filter(|place| *place < first.len());
    let arrivals: Vec<(usize, Instant)> = readers
        .iter()
        .flat_map(|seen| seen.positions.iter().zip(&seen.at))
        .filter_map(|(position, at)| Some((place(*position)?, *at)))
        .collect();
    for (place, at) in &arrivals {
        first[*place] = Some(first[*place].map_or(*at, |known| known.min(*at)));
    }
    let mut lags: Vec<f64> = arrivals
        .iter()
        .filter_map(|(place, at)| Some(at.duration_since(first[*place]?).as_secs_f64() * 1_000.0))
        .collect();
    lags.sort_unstable_by(f64::total_cmp);
    (lags[lags.len() / 2], lags[lags.len() * 99 / 100])
}

/// Events a second that are delivered to a new webhook, from the first one to `head`.
async fn pace(server: &Server, head: u64, batch_size: &Value) -> f64 {
    let receiver = Receiver::start().await;
    let webhook =
        json!({"url": receiver.url("/"), "secret": WEBHOOK_SECRET, "after": 0, "batch_size": batch_size});
    let began = Instant::now();
    server.client().post("/api/webhooks", &webhook).await.expect(201);
    let last = |delivery: Received| {
        if batch_size.is_null() { Some(delivery.position()) } else { delivery.positions().pop() }
    };
    while receiver.last().and_then(last).is_none_or(|position| position < head) {
        assert!(began.elapsed() < PATIENCE, "the webhook is still told of {:?}", receiver.last());
        sleep(Duration::from_millis(50)).await;
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of events is far below 2^52")]
    return head as f64 / began.elapsed().as_secs_f64();
}

/// Waits until the webhook got everything; returns how many repeated copies came, and whether the first copies were
/// in order.
async fn delivered(server: &Server, receiver: &Receiver) -> (usize, bool) {
    let mut expected = BTreeSet::new();
    let mut after = 0;
    loop {
        let path = format!("/api/events?type=job.launched,job.completed&limit=1000&after={after}");
        let page = server.client().get(&path).await.expect(200);
        expected.extend(
            page["events"].as_array().unwrap().iter().map(|event| event["position"].as_u64().unwrap()),
        );
        let next = page["next"].as_u64().unwrap();
        if next == after || page["head"] == page["next"] {
            break;
        }
        after = next;
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let accepted = receiver.received().into_iter().filter(|delivery| delivery.status == 204);
        let seen: Vec<u64> = accepted.map(|delivery| delivery.position()).collect();
        let mut known = BTreeSet::new();
        let firsts: Vec<u64> = seen.iter().copied().filter(|position| known.insert(*position)).collect();
        if known.is_superset(&expected) {
            return (seen.len() - firsts.len(), firsts.is_sorted());
        }
        assert!(Instant::now() < deadline, "{} of {} were delivered", known.len(), expected.len());
        sleep(Duration::from_secs(1)).await;
    }
}
