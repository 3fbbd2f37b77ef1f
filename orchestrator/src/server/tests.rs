//! The rules of a connection, over real sockets.

mod fixture;

use tokio::io::BufReader;

use super::*;
use fixture::{BRISK, Client, PATIENT, SHORT, start, start_for};

#[tokio::test]
async fn a_connection_that_sends_no_whole_head_is_cut() {
    let server = start(Timeouts { head: BRISK, ..PATIENT }).await;
    let mut silent = server.connect().await;
    let mut slow = server.connect().await;
    slow.send("GET / HTTP/1.1\r\nhost:").await;
    assert_eq!((silent.rest().await, slow.rest().await), (String::new(), String::new()));
}

#[tokio::test]
async fn a_slow_head_is_cut_on_a_connection_that_was_good_before() {
    let server = start(Timeouts { head: BRISK, ..PATIENT }).await;
    let mut client = server.connect().await;
    client.get("/").await;
    client.read_until("hello").await;
    client.send("GET / HTTP/1.1\r\nhost:").await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_connection_may_rest_for_longer_than_a_head_may_take() {
    let server = start(Timeouts { head: BRISK, ..PATIENT }).await;
    let mut client = server.connect().await;
    client.get("/").await;
    client.read_until("hello").await;
    client.outlasts(BRISK).await;
    client.get("/").await;
    client.read_until("hello").await;
}

#[tokio::test]
async fn a_connection_that_rests_for_too_long_is_closed() {
    let server = start(Timeouts { idle: SHORT, ..PATIENT }).await;
    let mut client = server.connect().await;
    client.get("/").await;
    assert!(client.rest().await.ends_with("hello"));
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_given_up() {
    let server = start(Timeouts { body: SHORT, ..PATIENT }).await;
    let mut client = server.connect().await;
    client.send("POST /body HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nab").await;
    assert!(client.rest().await.starts_with("HTTP/1.1 4"));
}

#[tokio::test]
async fn an_answer_may_take_longer_than_any_wait_for_the_client() {
    let timeouts = Timeouts { head: BRISK, idle: SHORT, body: SHORT, ..PATIENT };
    let mut server = start(timeouts).await;
    let mut client = server.connect().await;
    client.get("/held").await;
    server.arrivals.recv().await;
    client.outlasts(BRISK).await;
    server.let_go.notify_one();
    client.read_until("held").await;
}

/// They stay connected; that their only place is free again tells that the server has let them go.
#[tokio::test]
async fn clients_that_take_nothing_of_their_answers_are_cut() {
    let server = start_for(1, Timeouts { send: SHORT, ..PATIENT }).await;
    let mut unread = Vec::new();
    for path in ["/large", "/endless", "/"] {
        let mut client = server.connect().await;
        client.get(path).await;
        unread.push(client);
    }
    unread[2].read_until("hello").await;
}

#[tokio::test]
async fn a_stream_may_rest_for_longer_than_its_client_may_take_nothing() {
    let server = start(Timeouts { send: SHORT, ..PATIENT }).await;
    let mut client = server.connect().await;
    client.get("/live").await;
    for _ in 0..2 {
        server.let_go.notify_one();
        client.read_until("event\r\n").await;
        client.outlasts(BRISK).await;
    }
}

#[tokio::test]
async fn connections_past_the_cap_wait_for_their_turn() {
    let server = start_for(2, PATIENT).await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        assert!(!server.connections.kept_clients_waiting());
        let mut client = server.connect().await;
        client.get("/").await;
        client.read_until("hello").await;
        clients.push(client);
    }
    assert_eq!(server.connections.open(), 2);
    let mut next = server.connect().await;
    next.get("/").await;
    next.outlasts(SHORT).await;
    drop(clients);
    next.read_until("hello").await;
    drop(next);
    while server.connections.open() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(server.connections.kept_clients_waiting());
    assert!(!server.connections.kept_clients_waiting());
}

#[tokio::test]
async fn a_request_under_way_finishes_on_shutdown() {
    let mut server = start(PATIENT).await;
    let mut client = server.connect().await;
    client.get("/held").await;
    server.arrivals.recv().await;
    server.shutdown.cancel();
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    server.let_go.notify_one();
    let answer = client.rest().await;
    assert!(answer.contains("connection: close") && answer.ends_with("held"), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn idle_connections_do_not_delay_shutdown() {
    let server = start(Timeouts { arrival: SHORT, ..PATIENT }).await;
    let mut used = server.connect().await;
    used.get("/").await;
    used.read_until("hello").await;
    let mut fresh = server.connect().await;
    server.stop().await;
    assert_eq!((used.rest().await, fresh.rest().await), (String::new(), String::new()));
}

#[tokio::test]
async fn what_had_connected_before_the_end_is_served() {
    let server = start(PATIENT).await;
    let mut accepted = server.connect().await;
    let mut used = server.connect().await;
    used.get("/").await;
    used.read_until("hello").await;
    // The server has no chance to accept this one before the end.
    let late = std::net::TcpStream::connect(server.address).unwrap();
    late.set_nonblocking(true).unwrap();
    let mut in_backlog = Client(BufReader::new(TcpStream::from_std(late).unwrap()));
    server.shutdown.cancel();
    for client in [&mut accepted, &mut in_backlog] {
        client.get("/").await;
        client.read_until("hello").await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_request_that_outlasts_the_drain_is_cut() {
    let mut server = start(Timeouts { drain: SHORT, ..PATIENT }).await;
    let mut client = server.connect().await;
    client.get("/held").await;
    server.arrivals.recv().await;
    server.stop().await;
    assert_eq!(client.rest().await, "");
}
