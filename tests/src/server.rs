//! The server under test: the real program, in a process of its own, on a free port.
//!
//! It ends with the process of the test, in whatever way that ends: `rivet-under-test` is the orchestrator's own
//! `main`, and also ends when its standard input is closed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::client::Client;
use crate::program;
use crate::store::{Store, StoreKind};
use crate::verify::verify;
use crate::wait::eventually;

const FREE_PORT: &str = "127.0.0.1:0";

/// The `--read-wait` of servers under test: far longer than a busy machine pauses.
pub const READ_WAIT: Duration = Duration::from_mins(1);

/// A flag for tests of what the reconcilers do: they run ten times a second.
pub const SWEEP_OFTEN: &str = "--sweep-interval=100ms";

/// Settings with which a machine that pauses for a while changes no answer; a test may override them with its own
/// flags.
fn patience() -> [(&'static str, String); 2] {
    [
        ("RIVET_READ_WAIT", format!("{}s", READ_WAIT.as_secs())),
        ("RIVET_RUNNER_OFFLINE_AFTER", "1h".to_owned()),
    ]
}

/// One running server.
#[derive(Debug)]
pub struct Server {
    process: Child,
    said: Arc<Mutex<Vec<String>>>,
    base: String,
}

impl Server {
    /// Starts a server over a store, with further flags of `serve`, and returns when it is ready.
    pub async fn start(store: &Store, flags: &[&str]) -> Self {
        Self::start_at(FREE_PORT, store, flags).await
    }

    /// As [`Self::start`], at a given address that several servers use one after the other, for clients that know
    /// only one address. See [`crate::address`].
    pub async fn start_at(address: &str, store: &Store, flags: &[&str]) -> Self {
        let mut process = Command::new(program::path())
            .args(["serve", "--listen", address, "--database-url", store.url()])
            .args(flags)
            .envs(patience())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server's program is built beside its tests");
        let said = listen_to(&mut process);
        let mut server = Self { process, said, base: String::new() };
        server.base = eventually("the server's address", async || server.find_address()).await;
        let client = server.client();
        eventually("the server to be ready", async || {
            let request = client.request(reqwest::Method::GET, "/readyz");
            client.try_send(request).await.is_ok_and(|answer| answer.status == 200).then_some(())
        })
        .await;
        server
    }

    fn find_address(&mut self) -> Option<String> {
        let ended = self.process.try_wait().expect("it is our child");
        assert!(ended.is_none(), "the server ended with {ended:?} before it listened");
        self.said.lock().expect("no reader panics").iter().find_map(|line| address(line))
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        Client::new(self.base.clone())
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// The address that it listens on, as `IP:PORT`.
    pub fn address(&self) -> &str {
        self.base.strip_prefix("http://").expect("it speaks HTTP")
    }

    /// The id of its process.
    pub fn pid(&self) -> Pid {
        i32::try_from(self.process.id()).ok().and_then(Pid::from_raw).expect("a pid is positive")
    }

    /// Number of its child processes that have not ended (0 on systems without `/proc`).
    pub fn children(&self) -> usize {
        let is_child = |stat: &str| {
            // pid (name) state parent …; the name may contain anything.
            let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1));
            parent.is_some_and(|parent| parent == self.process.id().to_string())
        };
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let stats = processes.filter_map(|process| fs::read_to_string(process.path().join("stat")).ok());
        stats.filter(|stat| is_child(stat)).count()
    }

    /// Its log lines so far.
    pub fn log(&self) -> String {
        self.said.lock().expect("no reader panics").join("\n")
    }

    #[expect(clippy::print_stderr, reason = "a failed test shows what its server said")]
    fn show(&self) {
        for line in self.said.lock().iter().flat_map(|said| said.iter()) {
            eprintln!("server {}: {line}", self.process.id());
        }
    }

    /// Kills it, with `SIGKILL`.
    pub fn kill(mut self) {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it is our child");
    }

    /// Stops it with `SIGSTOP`, like an overloaded machine.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it continue.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it runs");
    }

    /// Asks it to stop, and waits until it has ended.
    pub async fn terminate(mut self) -> ExitStatus {
        self.end().await
    }

    /// As [`Self::terminate`], for a caller that puts another server in its place.
    pub async fn end(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        eventually("the server to end", async || self.process.try_wait().expect("it is our child")).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if thread::panicking() {
            self.show();
        }
    }
}

/// A server over a store of its own: what most tests need.
#[derive(Debug)]
pub struct TestApp {
    /// The server.
    pub server: Server,
    /// Its store, which is dropped after it.
    pub store: Store,
}

impl TestApp {
    /// Starts one with default settings.
    pub async fn start(kind: StoreKind) -> Self {
        Self::start_with(kind, &[]).await
    }

    /// Starts one with further flags of `serve`.
    pub async fn start_with(kind: StoreKind, flags: &[&str]) -> Self {
        let store = Store::create(kind).await;
        Self { server: Server::start(&store, flags).await, store }
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        self.server.client()
    }

    /// Checks what must always hold; see [`crate::verify`].
    pub async fn verify(&self) {
        verify(&self.client(), &self.store).await;
    }
}

/// Reads the log lines of the server, so that it never blocks on writing them.
fn listen_to(process: &mut Child) -> Arc<Mutex<Vec<String>>> {
    let said = Arc::new(Mutex::new(Vec::new()));
    let (words, output) = (Arc::clone(&said), process.stderr.take().expect("it is piped"));
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            words.lock().expect("no reader panics").push(line);
        }
    });
    said
}

/// `… http://127.0.0.1:40123 …` → the URL.
fn address(line: &str) -> Option<String> {
    let start = line.find("127.0.0.1:")?;
    let rest = &line[start..];
    let end = rest.char_indices().position(|(at, letter)| at >= 10 && !letter.is_ascii_digit());
    let address = &rest[..end.unwrap_or(rest.len())];
    address.rsplit(':').next()?.parse::<u16>().ok().filter(|port| *port != 0)?;
    Some(format!("http://{address}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_a_line() {
        let found = Some("http://127.0.0.1:40123".to_owned());
        assert_eq!(address("INFO listening on http://127.0.0.1:40123 with 2 cores"), found);
        assert_eq!(address("address=127.0.0.1:40123"), found);
        assert_eq!(address("asked for 127.0.0.1:0"), None);
        assert_eq!(address("starting"), None);
    }
}
