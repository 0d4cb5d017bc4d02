//! Serves a function on the loopback interface, where the watchdog calls it.
//!
//! What hyper makes of types is compiled here, once: an edit of the handler compiles its
//! own crate and the few lines that call [`run`].

mod answer;
mod hook;
mod pause;
mod receive;
mod server;

use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;

use http::Request;

pub use answer::Answer;
pub use hook::Outcome;
pub use receive::Receive;

/// An error of any type.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Calls `start`, answers requests with `handle` until SIGTERM, and calls `stop`.
///
/// It only takes the types away from what it is given: what it compiles is compiled anew
/// with each edit of the handler.
pub fn run<B, Handled, Started, Ready, Stopped>(
    handle: impl Fn(Request<B>) -> Handled + Send + Sync + 'static,
    start: impl FnOnce() -> Started + 'static,
    ready: impl Fn() -> Ready + Send + Sync + 'static,
    stop: impl FnOnce() -> Stopped + 'static,
) -> ExitCode
where
    B: Receive,
    Handled: Future<Output: Answer> + Send + 'static,
    Started: Future<Output: Outcome>,
    Ready: Future<Output: Outcome> + Send + 'static,
    Stopped: Future<Output: Outcome>,
{
    let (handle, ready) = (Arc::new(handle), Arc::new(ready));
    server::run(server::Function {
        handle: Box::new(move |request| {
            let handle = handle.clone();
            Box::pin(async move {
                let (head, incoming) = request.into_parts();
                match B::receive(incoming).await {
                    Ok(body) => answer::Called::Answered(
                        handle(Request::from_parts(head, body)).await.answer(),
                    ),
                    Err(error) => answer::Called::Refused(error),
                }
            })
        }),
        start: Box::pin(async move { start().await.well() }),
        ready: Box::new(move || {
            let ready = ready.clone();
            Box::pin(async move { ready().await.well() })
        }),
        stop: Box::pin(async move { stop().await.well() }),
    })
}
