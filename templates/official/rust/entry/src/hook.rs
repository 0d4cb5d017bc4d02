//! The functions beside `handle` that a handler may have.

use std::future::Future;
use std::pin::{pin, Pin};
use std::time::Duration;

use http::{Response, StatusCode};
use tokio::time::timeout;

use crate::answer::{caught, plain, Causes, Content};
use crate::BoxError;

/// How long `stop` may take, and after how long a line says that `start` takes long.
const LONG: Duration = Duration::from_secs(10);

/// What a hook may return: nothing, or whether all is well, or a `Result` of that.
#[diagnostic::on_unimplemented(
    message = "a hook returns `{Self}`, of which nobody knows whether all is well",
    label = "return nothing, a `bool`, or a `Result` of one of them"
)]
pub trait Outcome {
    #[doc(hidden)]
    fn well(self) -> Result<bool, BoxError>;
}

impl Outcome for () {
    fn well(self) -> Result<bool, BoxError> {
        Ok(true)
    }
}

impl Outcome for bool {
    fn well(self) -> Result<bool, BoxError> {
        Ok(self)
    }
}

impl<T: Outcome, E: Into<BoxError>> Outcome for Result<T, E> {
    fn well(self) -> Result<bool, BoxError> {
        self.map_err(Into::into)?.well()
    }
}

/// A call of a hook.
pub(crate) type Hook = Pin<Box<dyn Future<Output = Result<bool, BoxError>>>>;
/// A call of a hook by any thread.
pub(crate) type SentHook = Pin<Box<dyn Future<Output = Result<bool, BoxError>> + Send>>;

/// Awaits a hook, and says whether all is well; if not, a line says why.
async fn well(name: &str, hook: impl Future<Output = Result<bool, BoxError>> + Unpin) -> bool {
    match caught(hook).await {
        Ok(Ok(true)) => return true,
        Ok(Ok(false)) => eprintln!("{name}: it returned false"),
        Ok(Err(error)) => eprintln!("{name}: {}", Causes(&*error)),
        Err(_) => eprintln!("{name}: it panicked"),
    }
    false
}

/// Awaits the handler's `start`, for as long as it takes.
pub(crate) async fn start(hook: Hook) -> bool {
    let mut hook = pin!(well("start", hook));
    let mut waited = Duration::ZERO;
    loop {
        match timeout(LONG, hook.as_mut()).await {
            Ok(well) => return well,
            Err(_) => {
                waited += LONG;
                eprintln!(
                    "the hook start has not returned after {} s",
                    waited.as_secs()
                );
            }
        }
    }
}

/// Awaits the handler's `stop`, but not for long.
pub(crate) async fn stop(hook: Hook) -> bool {
    match timeout(LONG, well("stop", hook)).await {
        Ok(well) => well,
        Err(_) => {
            eprintln!("the hook stop has not returned after {} s", LONG.as_secs());
            false
        }
    }
}

/// The watchdog's answer to whether the function is ready.
pub(crate) async fn ready(hook: SentHook) -> Response<Content> {
    if well("ready", hook).await {
        plain(StatusCode::OK, "OK\n")
    } else {
        plain(StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}
