//! Spans of requests reach a collector, in the trace that the request names.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// Ends the server with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_request_is_a_span_in_its_callers_trace() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_rivet-orchestrator"))
        .args(["serve", "--listen", "127.0.0.1:0", "--database-url", "sqlite://rivet.db", "--otlp-endpoint"])
        .arg(format!("http://{}/v1/traces", collector.local_addr().unwrap()))
        .current_dir(directory.path())
        .stderr(Stdio::piped())
        .spawn()
        .map(Server)
        .unwrap();
    let mut said = BufReader::new(server.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    let line = said.find(|line| line.contains("http://")).unwrap();
    let address = line.split("http://").nth(1).unwrap().split(',').next().unwrap().to_owned();
    std::thread::spawn(move || said.for_each(drop));

    let request = format!(
        "GET /api/health HTTP/1.1\r\nhost: {address}\r\ntraceparent: 00-{TRACE}-{PARENT}-01\r\nconnection: close\r\n\r\n"
    );
    let mut connection = TcpStream::connect(&address).unwrap();
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    // The last spans are sent when the server ends.
    let pid = i32::try_from(server.0.id()).ok().and_then(Pid::from_raw).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let (path, spans) = receive(&collector);
    assert_eq!(path, "POST /v1/traces HTTP/1.1");
    for part in [bytes_of(TRACE), bytes_of(PARENT), b"http.request".to_vec(), b"/api/health".to_vec()] {
        assert!(spans.windows(part.len()).any(|window| window == part), "{part:?} is not in the spans");
    }
    assert!(server.0.wait().unwrap().success());
}

/// One request to the collector, answered: its first line, and its body.
fn receive(collector: &TcpListener) -> (String, Vec<u8>) {
    let (mut connection, _) = collector.accept().unwrap();
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    let head: Vec<String> =
        reader.by_ref().lines().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
    let length = head.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
    });
    let mut body = vec![0; length.unwrap()];
    reader.read_exact(&mut body).unwrap();
    connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    (head[0].clone(), body)
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let pair = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(pair).collect()
}
