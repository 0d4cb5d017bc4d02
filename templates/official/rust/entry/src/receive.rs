//! The body of a request, as the handler takes it.

use std::future::{ready, Future};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::BoxError;

/// What the body of a handler's request may be: `axum::body::Body`, or
/// `hyper::body::Incoming`, as a stream; `Bytes`, `Vec<u8>` or `String`, whole.
#[diagnostic::on_unimplemented(
    message = "`handle` takes an `http::Request<{Self}>`, whose body the server cannot give it",
    label = "take an `http::Request<axum::body::Body>` of axum 0.8, or one of `Bytes`, `Vec<u8>` or `String`"
)]
pub trait Receive: Sized + Send + 'static {
    #[doc(hidden)]
    fn receive(incoming: Incoming) -> impl Future<Output = Result<Self, BoxError>> + Send;
}

impl Receive for Incoming {
    fn receive(incoming: Incoming) -> impl Future<Output = Result<Self, BoxError>> + Send {
        ready(Ok(incoming))
    }
}

impl Receive for axum_core::body::Body {
    fn receive(incoming: Incoming) -> impl Future<Output = Result<Self, BoxError>> + Send {
        ready(Ok(Self::new(incoming)))
    }
}

impl Receive for () {
    fn receive(_: Incoming) -> impl Future<Output = Result<Self, BoxError>> + Send {
        ready(Ok(()))
    }
}

impl Receive for Bytes {
    async fn receive(incoming: Incoming) -> Result<Self, BoxError> {
        Ok(incoming.collect().await?.to_bytes())
    }
}

impl Receive for Vec<u8> {
    async fn receive(incoming: Incoming) -> Result<Self, BoxError> {
        Ok(Bytes::receive(incoming).await?.into())
    }
}

impl Receive for String {
    async fn receive(incoming: Incoming) -> Result<Self, BoxError> {
        Ok(String::from_utf8(Vec::receive(incoming).await?)?)
    }
}
