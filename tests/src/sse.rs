//! A reader of server-sent events, as the specification has them (<https://html.spec.whatwg.org/#server-sent-events>).

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::Value;
use tokio::time::timeout;

use crate::client::Client;

/// How long a stream may be silent: longer than the interval of its signs of life.
const PATIENCE: Duration = Duration::from_mins(2);

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The last id that the stream named.
    pub id: String,
    /// Its type; `message` if it has none.
    pub event: String,
    /// Its data.
    pub data: String,
}

impl Message {
    /// Its data as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {}", self.data))
    }

    /// Its id as a number.
    #[track_caller]
    pub fn number(&self) -> u64 {
        self.id.parse().unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// An open stream.
#[derive(Debug)]
pub struct EventStream {
    response: Response,
    received: Vec<u8>,
    /// Number of bytes that are known to contain no end of a frame.
    searched: usize,
    /// The last id, after which the next stream continues.
    pub last_id: String,
}

impl EventStream {
    /// Opens a stream at its beginning.
    ///
    /// # Panics
    /// If the answer is not a stream.
    pub async fn open(client: &Client, path: &str) -> Self {
        let response = client.request(Method::GET, path).send().await.expect("the server answers");
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self::of(response)
    }

    /// As [`Self::open`], for a server that may be down.
    pub async fn try_open(client: &Client, path: &str) -> Option<Self> {
        let response = client.request(Method::GET, path).send().await.ok()?;
        response.status().is_success().then(|| Self::of(response))
    }

    fn of(response: Response) -> Self {
        Self { response, received: Vec::new(), searched: 0, last_id: String::new() }
    }

    /// Opens a stream that continues after the event with this id.
    pub async fn resume(client: &Client, path: &str, last_id: &str) -> Self {
        Self::open(&client.with("last-event-id", last_id), path).await
    }

    /// The next event; `None` if the server ended the stream, or its connection broke.
    ///
    /// # Panics
    /// If there is no sign of life.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            while let Some(frame) = self.take_frame() {
                if let Some(message) = self.take_in(&String::from_utf8(frame).expect("a stream is UTF-8")) {
                    return Some(message);
                }
            }
            let chunk = timeout(PATIENCE, self.response.chunk()).await.expect("a stream gives signs of life");
            self.received.extend_from_slice(&chunk.ok().flatten()?);
        }
    }

    /// The bytes up to the next empty line.
    fn take_frame(&mut self) -> Option<Vec<u8>> {
        let rest = &self.received[self.searched..];
        if let Some(end) = rest.windows(2).position(|pair| pair == b"\n\n") {
            let frame = self.received.drain(..self.searched + end + 2).collect();
            self.searched = 0;
            return Some(frame);
        }
        self.searched = self.received.len().saturating_sub(1);
        None
    }

    /// A frame is an event if it has data.
    fn take_in(&mut self, frame: &str) -> Option<Message> {
        let (mut event, mut data) = ("message", None);
        for line in frame.lines() {
            match line.split_once(": ") {
                Some(("id", id)) => id.clone_into(&mut self.last_id),
                Some(("event", name)) => event = name,
                Some(("data", text)) => {
                    assert!(data.is_none(), "the data of an event is one line: {frame}");
                    data = Some(text);
                }
                Some(_) | None => {}
            }
        }
        let (event, data) = (event.to_owned(), data?.to_owned());
        Some(Message { id: self.last_id.clone(), event, data })
    }

    /// The next events, this many.
    ///
    /// # Panics
    /// If the stream ends earlier.
    pub async fn take(&mut self, count: usize) -> Vec<Message> {
        let mut messages = Vec::with_capacity(count);
        while messages.len() < count {
            let next = self.next().await;
            messages.push(next.unwrap_or_else(|| panic!("the stream ended after {messages:?}")));
        }
        messages
    }

    /// All events up to the end of the stream.
    pub async fn rest(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(message) = self.next().await {
            messages.push(message);
        }
        messages
    }
}
