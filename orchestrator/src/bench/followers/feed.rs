//! A follower of the feed of all events. Positions are dense, so it notices every event that it did not get.

use std::cell::Cell;
use std::rc::Rc;

use super::{PAUSE, Shared, Tally, increase};
use crate::bench::error::Failure;
use crate::bench::http::Connection;
use crate::bench::request::{Fill, Request};
use crate::sse_reader::SseReader;

const NAME: &str = "follow events";
const PATH: &str = "/api/events/stream";

/// Follows the feed until the end of the run.
pub(super) struct Follower {
    shared: Shared,
    tally: Rc<Tally>,
    connection: Connection,
    /// The last position seen; 0 before the first event.
    position: Rc<Cell<u64>>,
}

impl Follower {
    /// A follower that is not connected yet.
    pub(super) fn new(shared: Shared, tally: Rc<Tally>) -> Self {
        let connection = Connection::new(&shared.target);
        Self { shared, tally, connection, position: Rc::default() }
    }

    /// The last position that it has seen, kept up to date.
    pub(super) fn position(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.position)
    }

    /// Opens the stream, when it is its turn. After a failure, which is counted, `follow` opens it again.
    pub(super) async fn connect(mut self) -> Self {
        self.open().await;
        self
    }

    /// Reads the stream until the end of the run, and opens it again whenever it ends or breaks.
    pub(super) async fn follow(mut self) {
        let end = self.shared.end.clone();
        let recorder = Rc::clone(&self.shared.recorder);
        end.run_until_cancelled(async {
            loop {
                if let Err(failure) = self.read().await {
                    recorder.failed(NAME, &failure);
                }
                recorder.reconnected(1);
                tokio::time::sleep(PAUSE).await;
                self.open().await;
            }
        })
        .await;
    }

    async fn open(&mut self) {
        let Shared { target, recorder, turns, .. } = &self.shared;
        let _turn = turns.acquire().await;
        let request = match self.position.get() {
            0 => Request::new(target, "GET", PATH),
            _ => Request::with_headers(target, "GET", PATH, "last-event-id: {number}\r\n", None),
        };
        let fill = Fill { number: self.position.get(), ..Fill::default() };
        match self.connection.open_stream(&request, fill).await {
            Ok(()) => increase(&self.tally.streams, 1),
            Err(failure) => recorder.failed(NAME, &failure),
        }
    }

    /// Reads the stream to its end.
    async fn read(&mut self) -> Result<(), Failure> {
        let Self { shared, tally, connection, position } = self;
        let mut reader = SseReader::new();
        while let Some(piece) = connection.next_piece().await? {
            let mut is_first = shared.recorder.counts();
            reader.push(piece, |frame| {
                let Some(at) = frame.number().filter(|_| frame.is_event()) else { return };
                let last = position.replace(at);
                if last > 0 {
                    increase(&tally.missed, (at - last.min(at)).saturating_sub(1));
                }
                increase(&tally.received, 1);
                if std::mem::take(&mut is_first) {
                    tally.delivered(frame.text("recorded_at"));
                }
            });
        }
        Ok(())
    }
}
