//! Runs a future to completion even if whoever awaits it is cancelled.
//!
//! When a client disconnects, the server drops the handler of its request at whatever await point that is. Work that
//! must not stop half-way (an append and the cache update after it, a claim) goes on as a spawned task. As long as
//! the client stays, the future is polled in place and costs no task.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// Wraps `work` so that, if dropped before it has ended, it is spawned on `tasks` and finishes there.
pub(crate) fn run_to_completion<W>(tasks: &TaskTracker, work: W) -> RunToCompletion<W>
where
    W: Future<Output: Send + 'static> + Send + 'static,
{
    RunToCompletion { work: Some(Box::pin(work)), tasks: tasks.clone() }
}

/// See [`run_to_completion`].
pub(crate) struct RunToCompletion<W: Future<Output: Send + 'static> + Send + 'static> {
    /// `None` while it is being polled, and after it has ended or panicked: then there is nothing left to spawn.
    work: Option<Pin<Box<W>>>,
    tasks: TaskTracker,
}

impl<W: Future<Output: Send + 'static> + Send + 'static> Future for RunToCompletion<W> {
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

impl<W: Future<Output: Send + 'static> + Send + 'static> Drop for RunToCompletion<W> {
    fn drop(&mut self) {
        // Outside of a runtime the process is about to end, and the work is dropped.
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
        let mut work = Box::pin(run_to_completion(&tasks, async move {
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
        assert_eq!(run_to_completion(&tasks, async { 1 }).await, 1);
        assert!(tasks.is_empty());
    }
}
