//! nginx with the configuration of the repository, in which only the addresses are replaced.

use std::env;
use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use reqwest::Method;
use rivet_tests::client::Client;
use rivet_tests::wait::eventually;
use tempfile::TempDir;

const CONFIGURATION: &str = include_str!("../../../deploy/nginx.conf");

/// A running nginx, which is killed when dropped.
pub(crate) struct Balancer {
    process: Child,
    directory: TempDir,
    address: String,
}

impl Balancer {
    /// Starts nginx in front of two replicas, and returns when it answers.
    pub(crate) async fn start(replicas: [&str; 2]) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("rivet-nginx-")
            // The workers of nginx run as another user.
            .permissions(Permissions::from_mode(0o755))
            .tempdir()
            .unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let configuration = directory.path().join("nginx.conf");
        fs::write(&configuration, configured(directory.path(), &address, replicas)).unwrap();
        let process = Command::new(find_nginx())
            .arg("-p")
            .arg(directory.path())
            .args(["-e", "error.log", "-c"])
            .arg(&configuration)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let balancer = Self { process, directory, address };
        let client = Client::new(format!("http://{}", balancer.address));
        eventually("nginx to answer", async || {
            let health = client.try_send(client.request(Method::GET, "/api/health")).await;
            health.is_ok_and(|answer| answer.status == 200).then_some(())
        })
        .await;
        balancer
    }

    /// The address that it listens on, as `IP:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The errors that it logged about the replicas.
    pub(crate) fn print_complaints(&self) {
        let said = fs::read_to_string(self.directory.path().join("error.log")).unwrap_or_default();
        let mut kinds: Vec<&str> = said.lines().filter_map(complaint).collect();
        kinds.sort_unstable();
        for kind in kinds.chunk_by(|one, other| one == other) {
            println!("  nginx, {} times: {}", kind.len(), kind[0]);
        }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // The workers only end with it if it is asked to stop.
        if let Some(pid) = i32::try_from(self.process.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.process.wait();
    }
}

/// `… [error] 12#12: *345 connect() failed (111: …) while …, client: …` → `connect() failed (111: …) while …`.
fn complaint(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(": *")?;
    let (_, said) = rest.split_once(' ')?;
    said.split(", client").next()
}

/// The server block of the repository, with what nginx needs around it to run by itself in a directory.
fn configured(directory: &Path, address: &str, [one, other]: [&str; 2]) -> String {
    let site = [
        ("listen 8080;", format!("listen {address};")),
        ("rivet-1:8080 resolve", one.to_owned()),
        ("rivet-2:8080 resolve", other.to_owned()),
    ]
    .into_iter()
    .fold(CONFIGURATION.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "deploy/nginx.conf has no {from}");
        text.replace(from, &to)
    });
    let directory = directory.display();
    format!(
        "daemon off;
         pid {directory}/pid;
         events {{}}
         http {{
             access_log off;
             client_body_temp_path {directory}/client_body;
             proxy_temp_path {directory}/proxy;
             fastcgi_temp_path {directory}/fastcgi;
             uwsgi_temp_path {directory}/uwsgi;
             scgi_temp_path {directory}/scgi;
             {site}
         }}"
    )
}

fn find_nginx() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places =
        env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]).map(|place| place.join("nginx"));
    places.find(|program| program.is_file()).expect("it needs nginx: apt-get install nginx-light")
}
