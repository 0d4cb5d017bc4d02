//! What a handler returns, as the server sends it.

use std::error::Error;
use std::future::Future;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{header, HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};

use crate::BoxError;

/// A body of any type, whose errors and panics are logged. hyper cuts the connection then,
/// so that the client sees that the answer is not whole.
pub struct Content(UnsyncBoxBody<Bytes, BoxError>);

/// What a handler may return: a response, or a `Result` of one whose error is logged and
/// answered with 500. The body of a response is `axum::body::Body`, `String`, or any other
/// `http_body::Body` of `Bytes`.
#[diagnostic::on_unimplemented(
    message = "`handle` returns `{Self}`, which is no answer",
    label = "return an `http::Response<Body>`, or a `Result` of one",
    note = "`axum::response::IntoResponse::into_response` makes a response of most things"
)]
pub trait Answer {
    #[doc(hidden)]
    fn answer(self) -> Result<Response<Content>, BoxError>;
}

impl<B> Answer for Response<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn answer(self) -> Result<Response<Content>, BoxError> {
        Ok(self.map(|body| Content(body.map_err(Into::into).boxed_unsync())))
    }
}

impl<B, E> Answer for Result<Response<B>, E>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    E: Into<BoxError>,
{
    fn answer(self) -> Result<Response<Content>, BoxError> {
        self.map_err(Into::into)?.answer()
    }
}

/// What came of a call of the handler.
pub(crate) enum Called {
    Answered(Result<Response<Content>, BoxError>),
    /// The body is not what the handler takes.
    Refused(BoxError),
}

/// The answer to a request. The text of the handler's error, and of a panic, is in the log
/// and nowhere else.
pub(crate) async fn of(calling: Pin<Box<dyn Future<Output = Called> + Send>>) -> Response<Content> {
    match caught(calling).await {
        Ok(Called::Answered(Ok(response))) => response,
        Ok(Called::Answered(Err(error))) => {
            eprintln!("handle: {}", Causes(&*error));
            plain(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error\n")
        }
        Ok(Called::Refused(error)) => {
            eprintln!("the request: {}", Causes(&*error));
            plain(StatusCode::BAD_REQUEST, "Bad Request\n")
        }
        Err(Panicked) => plain(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error\n"),
    }
}

/// A status with a text.
pub(crate) fn plain(status: StatusCode, text: &'static str) -> Response<Content> {
    let mut response = Response::new(Content(Full::from(text).map_err(Into::into).boxed_unsync()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A panic, which Rust has logged.
pub(crate) struct Panicked;

/// Awaits a future, and survives its panic.
pub(crate) async fn caught<T>(mut future: impl Future<Output = T> + Unpin) -> Result<T, Panicked> {
    std::future::poll_fn(move |context| {
        match catch_unwind(AssertUnwindSafe(|| Pin::new(&mut future).poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    })
    .await
}

/// An error with what caused it, in one line.
pub(crate) struct Causes<'a>(pub(crate) &'a (dyn Error + 'static));

impl std::fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let body = Pin::new(&mut self.0);
        let polled = catch_unwind(AssertUnwindSafe(|| body.poll_frame(context)));
        let polled = polled.unwrap_or_else(|_| Poll::Ready(Some(Err("the body panicked".into()))));
        if let Poll::Ready(Some(Err(error))) = &polled {
            eprintln!("handle: in the middle of its answer: {}", Causes(&**error));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
