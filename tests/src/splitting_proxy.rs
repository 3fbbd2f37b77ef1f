//! A load balancer at its worst: what a client writes goes to one replica, and what it reads to another one.

use std::io;

use tokio::io::{AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

use crate::lossy_proxy::read_request;
use crate::server::Server;

/// Starts a proxy that sends each GET to `reader` and everything else to `writer`, and returns its URL. It runs until
/// the runtime of its test ends.
pub async fn start(writer: &Server, reader: &Server) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let (writer, reader) = (writer.address().to_owned(), reader.address().to_owned());
    let tasks = TaskTracker::new();
    tasks.clone().spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (writer, reader) = (writer.clone(), reader.clone());
            tasks.spawn(async move { pass(client, &writer, &reader).await });
        }
    });
    url
}

/// Handles one request. Both sides are told that no other one follows it on their connection.
async fn pass(mut client: TcpStream, writer: &str, reader: &str) -> io::Result<()> {
    let request = read_request(&mut client).await?;
    let mut server = TcpStream::connect(if request.starts_with(b"GET ") { reader } else { writer }).await?;
    let line = request.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    server.write_all(&[&request[..line], b"connection: close\r\n", &request[line..]].concat()).await?;
    copy(&mut server, &mut client).await?;
    client.shutdown().await
}
