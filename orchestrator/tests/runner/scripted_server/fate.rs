//! What becomes of the requests to a server that loses some of them.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Shared;

/// Loses requests and answers, if told to.
pub(super) async fn lose(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let mut fate = Fate::Answered;
    if shared.misbehaviour.lossy {
        shared.knowledge.send_modify(|knowledge| {
            let requests = knowledge.requests.entry(request.uri().path().to_owned()).or_default();
            fate = FATES[*requests % FATES.len()];
            *requests += 1;
        });
    }
    let answer = match fate {
        Fate::RequestLost => None,
        Fate::AnswerLost => {
            next.run(request).await;
            None
        }
        Fate::Answered => Some(next.run(request).await),
    };
    answer.unwrap_or_else(|| (StatusCode::BAD_GATEWAY, "lost").into_response())
}

/// What becomes of a request.
#[derive(Clone, Copy)]
enum Fate {
    RequestLost,
    AnswerLost,
    Answered,
}

/// What becomes of one request to a path after the other. Counted over all paths, they could fall into step with who
/// asks in turns, and lose every request of one of them.
const FATES: [Fate; 7] = [
    Fate::RequestLost,
    Fate::AnswerLost,
    Fate::Answered,
    Fate::AnswerLost,
    Fate::Answered,
    Fate::Answered,
    Fate::RequestLost,
];
