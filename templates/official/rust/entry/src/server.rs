//! The HTTP server. Its one client is the watchdog.

use std::convert::Infallible;
use std::env;
use std::future::Future;
use std::net::Ipv4Addr;
use std::pin::{pin, Pin};
use std::process::{exit, ExitCode};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{header, Method, Request, Response, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{signal, SignalKind};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::answer::{self, Called, Content};
use crate::hook::{self, Hook, SentHook};
use crate::pause::pause;

/// The handler, without its types.
pub(crate) struct Function {
    pub(crate) handle: Box<dyn Fn(Request<Incoming>) -> Calling + Send + Sync>,
    pub(crate) start: Hook,
    pub(crate) ready: Box<dyn Fn() -> SentHook + Send + Sync>,
    pub(crate) stop: Hook,
}

type Calling = Pin<Box<dyn Future<Output = Called> + Send>>;

/// What a request needs of it.
struct Handler {
    handle: Box<dyn Fn(Request<Incoming>) -> Calling + Send + Sync>,
    ready: Box<dyn Fn() -> SentHook + Send + Sync>,
}

impl Handler {
    async fn answer(&self, mut request: Request<Incoming>) -> Response<Content> {
        ask_for_body(&mut request).await;
        if request.method() == Method::GET && *request.uri() == *READY {
            hook::ready((self.ready)()).await
        } else {
            answer::of((self.handle)(request)).await
        }
    }
}

/// Asks for the body of a client that waits to be asked. hyper asks when the body is read,
/// but not once the answer has begun, and a handler may answer with the body itself.
async fn ask_for_body(request: &mut Request<Incoming>) {
    let mut expected = request.headers().get_all(header::EXPECT).iter();
    let waits = expected
        .next()
        .is_some_and(|e| e.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if !waits || expected.next().is_some() || request.version() != Version::HTTP_11 {
        return;
    }
    let mut asked = false;
    std::future::poll_fn(move |context| {
        if asked {
            return Poll::Ready(());
        }
        asked = true;
        // There is none of it before hyper has asked, which it does before this goes on.
        let _ = Pin::new(request.body_mut()).poll_frame(context);
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

/// What the watchdog takes of headers, and a little more.
const MAX_HEADERS: usize = 10_000;
const MAX_HEAD: usize = 1_200_000;

/// Where the watchdog asks whether the function is ready. Of its clients it asks nothing
/// below this path.
const READY: &str = "/_/ready";

/// Runs the function, and ends whatever its threads do.
pub(crate) fn run(function: Function) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("starting threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let Function {
        handle,
        start,
        ready,
        stop,
    } = function;
    let ended = runtime.block_on(async {
        if !hook::start(start).await {
            return false;
        }
        if let Err(error) = serve(Handler { handle, ready }).await {
            eprintln!("serving: {error}");
            return false;
        }
        hook::stop(stop).await
    });
    exit(if ended { 0 } else { 1 })
}

/// Answers requests until SIGTERM, and then those that have come.
async fn serve(handler: Handler) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port())).await?;
    let (closing, told) = watch::channel(());
    let accepting = tokio::spawn(accept(listener, Arc::new(handler), told));
    if first(terminate.recv(), interrupt.recv()).await {
        // A second signal ends the pause.
        let _ = timeout(pause(), first(terminate.recv(), interrupt.recv())).await;
    }
    accepting.abort();
    let _ = accepting.await; // it was aborted
    if closing.send(()).is_ok() {
        closing.closed().await; // by the last connection
    }
    Ok(())
}

/// Awaits one of two: true for the first.
async fn first(a: impl Future, b: impl Future) -> bool {
    let (mut a, mut b) = (pin!(a), pin!(b));
    std::future::poll_fn(|context| match a.as_mut().poll(context) {
        Poll::Ready(_) => Poll::Ready(true),
        Poll::Pending => b.as_mut().poll(context).map(|_| false),
    })
    .await
}

async fn accept(listener: TcpListener, handler: Arc<Handler>, told: watch::Receiver<()>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, handler.clone(), told.clone()));
            }
            Err(error) => {
                eprintln!("accepting: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Answers the requests of a connection until it is told to close, and then the one that
/// is being answered.
async fn connection(stream: TcpStream, handler: Arc<Handler>, mut told: watch::Receiver<()>) {
    let _ = stream.set_nodelay(true); // without it, it is slower
    let service = service_fn(move |request| {
        let handler = handler.clone();
        async move { Ok::<_, Infallible>(handler.answer(request).await) }
    });
    let mut http = http1::Builder::new();
    http.header_read_timeout(None)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD);
    let mut serving = pin!(http
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades());
    if !first(serving.as_mut(), told.changed()).await {
        serving.as_mut().graceful_shutdown();
        let _ = serving.await; // as below
    }
    // Why a connection ended early is logged where that is, or by the watchdog.
}

/// Where the watchdog calls the function.
fn port() -> u16 {
    let upstream = env::var("upstream_url").unwrap_or_default();
    let authority = upstream.parse::<http::Uri>().ok();
    authority.and_then(|uri| uri.port_u16()).unwrap_or(8082)
}
