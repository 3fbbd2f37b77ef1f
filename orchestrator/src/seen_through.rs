//! Work that is seen through once it was begun, whatever becomes of who waits for it.
//!
//! A client that leaves takes the handler of its request along, wherever that stands. Where the rest matters to others, it
//! goes on as a task. Nobody pays for one as long as clients stay.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// A future that is brought to its end by `tasks` when it is dropped before.
pub(crate) fn seen_through<W>(tasks: &TaskTracker, work: W) -> SeenThrough<W>
where
    W: Future<Output: Send + 'static> + Send + 'static,
{
    SeenThrough { work: Some(Box::pin(work)), tasks: tasks.clone() }
}

/// See [`seen_through`].
pub(crate) struct SeenThrough<W: Future<Output: Send + 'static> + Send + 'static> {
    /// None while it is polled, and after: what has panicked is not polled again.
    work: Option<Pin<Box<W>>>,
    tasks: TaskTracker,
}

impl<W: Future<Output: Send + 'static> + Send + 'static> Future for SeenThrough<W> {
    type Output = W::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<W::Output> {
        let mut work = self.work.take().expect("invariant: nobody polls a future that has ended");
        let polled = work.as_mut().poll(cx);
        if polled.is_pending() {
            self.work = Some(work);
        }
        polled
    }
}

impl<W: Future<Output: Send + 'static> + Send + 'static> Drop for SeenThrough<W> {
    fn drop(&mut self) {
        // Without a runtime the process is about to end.
        if let (Some(work), Ok(runtime)) = (self.work.take(), Handle::try_current()) {
            self.tasks.spawn_on(work, &runtime);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_was_begun_goes_on_without_who_waited() {
        let tasks = TaskTracker::new();
        let ((allow, allowed), (end, ended)) = (oneshot::channel(), oneshot::channel());
        let mut work = Box::pin(seen_through(&tasks, async move {
            allowed.await.unwrap();
            end.send("done").unwrap();
        }));
        assert!(poll!(&mut work).is_pending());
        drop(work);
        allow.send(()).unwrap();
        assert_eq!(ended.await, Ok("done"));
        tasks.close();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn who_stays_gets_the_answer_and_there_is_no_task() {
        let tasks = TaskTracker::new();
        assert_eq!(seen_through(&tasks, async { 1 }).await, 1);
        assert!(tasks.is_empty());
    }
}
