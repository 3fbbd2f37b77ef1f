//! The rules of a connection, over real sockets.

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;

/// A server that answers one request after the other with these bytes. After an answer that closes the connection,
/// the next one is given on a new connection.
async fn answering(answers: &'static [&'static [u8]]) -> (Rc<Target>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut stream = listener.accept().await.unwrap().0;
        for (number, answer) in (1..).zip(answers) {
            let mut request = BytesMut::new();
            while !request.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut request).await.unwrap();
            }
            // In small pieces, so that the reader has to wait in the middle of everything.
            for piece in answer.chunks(7) {
                stream.write_all(piece).await.unwrap();
                stream.flush().await.unwrap();
                tokio::task::yield_now().await;
            }
            if answer.windows(5).any(|window| window == b"close") && number < answers.len() {
                stream = listener.accept().await.unwrap().0;
            }
        }
    });
    (Rc::new(Target::resolve(&server).await.unwrap()), serving)
}

async fn text(connection: &mut Connection) -> Result<String, String> {
    let request = Request::new(&connection.target.clone(), "GET", "/");
    let answered = connection.exchange(&request, Fill::default()).await;
    answered
        .map(|answer| str::from_utf8(answer.body).unwrap().to_owned())
        .map_err(|failure| failure.to_string())
}

#[tokio::test]
async fn a_body_ends_by_its_length_its_last_chunk_its_status_or_the_connection() {
    let (target, _serving) = answering(&[
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nseco\r\n2;x=y\r\nnd\r\n0\r\nafter: all\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nlast",
    ])
    .await;
    let mut connection = Connection::new(&target);
    for body in ["first", "second", "", "", "last"] {
        assert_eq!(text(&mut connection).await.as_deref(), Ok(body));
    }
    assert_eq!(connection.reconnects(), 0);
}

#[tokio::test]
async fn a_connection_that_was_closed_is_made_again() {
    let (target, _serving) = answering(&[
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 3\r\n\r\none",
        b"HTTP/1.1 200 OK\r\nrivet-position: 7\r\ncontent-length: 3\r\n\r\ntwo",
    ])
    .await;
    let mut connection = Connection::new(&target);
    assert_eq!(text(&mut connection).await.as_deref(), Ok("one"));
    let request = Request::new(&target, "GET", "/");
    let answer = connection.exchange(&request, Fill::default()).await.unwrap();
    assert_eq!(answer.position, Some(7));
    assert_eq!(connection.reconnects(), 1);
}

#[tokio::test]
async fn what_is_no_success_is_told_apart() {
    let (target, mut serving) = answering(&[
        b"HTTP/1.1 409 Conflict\r\ncontent-length: 26\r\n\r\n{\"code\":\"already_claimed\"}",
        b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 6\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort",
    ])
    .await;
    let mut connection = Connection::new(&target);
    let mut failure = async || text(&mut connection).await.unwrap_err();
    assert_eq!(failure().await, "409 already_claimed");
    assert_eq!(failure().await, "502 -");
    assert_eq!(failure().await, "connection broke: unexpected end of file");
    serving.join_next().await.unwrap().unwrap();
    assert!(failure().await.starts_with("no connection: "));
}

#[tokio::test]
async fn an_answer_that_goes_on_is_read_as_it_comes() {
    let (target, _serving) = answering(&[
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nafter",
    ])
    .await;
    let mut connection = Connection::new(&target);
    connection.open_stream(&Request::new(&target, "GET", "/"), Fill::default()).await.unwrap();
    let mut read = Vec::new();
    while let Some(piece) = connection.next_piece().await.unwrap() {
        assert!(!piece.is_empty());
        read.extend_from_slice(piece);
    }
    assert_eq!(read, b"onetwo");
    assert_eq!(text(&mut connection).await.as_deref(), Ok("after"));
    assert_eq!(connection.reconnects(), 0);
}
