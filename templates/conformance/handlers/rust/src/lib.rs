//! Answers the requests of the table in templates/conformance.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::env;
use std::error::Error;
use std::future::{pending, ready as at_once};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, header};
use axum::response::IntoResponse;
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use semver::Version;
use tokio::time::sleep;

type Failure = Box<dyn Error + Send + Sync>;
type Answer = Result<Response<Body>, Failure>;

const SECRET: &str = "secret-text";

static STARTED: AtomicBool = AtomicBool::new(false);

/// Answers by the path.
pub async fn handle(request: Request<Body>) -> Answer {
    let path = request.uri().path().to_string();
    let (route, rest) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    match route {
        "echo" => echo(request),
        "json" => Ok(Json(serde_json::json!({"a": 1, "b": "ü"})).into_response()),
        "status" => Ok(Response::builder().status(rest).body(Body::empty())?),
        "header" => text(values(&request, rest, ",")),
        "cookie" => text(values(&request, "cookie", "; ")),
        "query" => {
            let query = request.uri().query().unwrap_or_default();
            text(
                all(query.as_bytes())
                    .remove(rest)
                    .unwrap_or_default()
                    .join("|"),
            )
        }
        "path" => text(path),
        "method" => text(request.method().to_string()),
        "set-cookies" => Ok(Response::builder()
            .header(header::SET_COOKIE, "a=1; Path=/")
            .header(header::SET_COOKIE, "b=2; Path=/")
            .body("ok".into())?),
        "many-headers" => {
            let names = request.headers().keys();
            text(
                names
                    .filter(|name| name.as_str().starts_with("x-n-"))
                    .count()
                    .to_string(),
            )
        }
        "stream" => events(),
        "upload" => upload(request).await,
        "first" => first(request).await,
        "throw" => Err(SECRET.into()),
        "throw-in-stream" => {
            let pieces = [Ok("one piece"), Err(SECRET)];
            // The first piece is on its way when the second fails.
            let pieces = stream::iter(pieces).then(|piece| async move {
                sleep(Duration::from_millis(50)).await;
                piece
            });
            Ok(Response::new(Body::from_stream(pieces)))
        }
        "unsendable" => Ok(Response::builder()
            .header("x-name", "two\nlines")
            .body(Body::empty())?),
        "async" => {
            sleep(Duration::from_millis(10)).await;
            text("async".into())
        }
        "started" => text(
            if STARTED.load(Ordering::Relaxed) {
                "yes"
            } else {
                "no"
            }
            .into(),
        ),
        "package" => {
            let order = Version::parse(rest)?.cmp(&Version::new(1, 9, 0));
            text((order as i8).to_string())
        }
        "slow" => {
            sleep(Duration::from_millis(rest.parse()?)).await;
            text("slow".into())
        }
        "large" => text("x".repeat(rest.parse()?)),
        "body-text" => {
            let body = to_bytes(request.into_body(), usize::MAX).await?;
            Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response())
        }
        "form" => {
            let body = to_bytes(request.into_body(), usize::MAX).await?;
            Ok(Json(all(&body)).into_response())
        }
        _ => Ok((axum::http::StatusCode::NOT_FOUND, "there is no such path\n").into_response()),
    }
}

/// Is called before the first request.
pub async fn start() -> Result<(), Failure> {
    misbehave("start").await?;
    STARTED.store(true, Ordering::Relaxed);
    Ok(())
}

/// Says whether the function may be sent requests.
pub async fn ready() -> Result<bool, Failure> {
    misbehave("ready").await?;
    Ok(!Path::new("/tmp/not-ready").exists())
}

/// Is called after the last request.
pub async fn stop() -> Result<(), Failure> {
    misbehave("stop").await?;
    eprintln!("stopped");
    Ok(())
}

async fn misbehave(hook: &str) -> Result<(), Failure> {
    if env::var("CONF_HANG").as_deref() == Ok(hook) {
        pending::<()>().await;
    }
    if env::var("CONF_FAIL").as_deref() == Ok(hook) {
        return Err(SECRET.into());
    }
    Ok(())
}

fn text(text: String) -> Answer {
    Ok(text.into_response())
}

fn values(request: &Request<Body>, name: &str, separator: &str) -> String {
    let values = request.headers().get_all(name).iter();
    values
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect::<Vec<_>>()
        .join(separator)
}

/// The pairs of a form or a query, by name.
fn all(encoded: &[u8]) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(encoded) {
        all.entry(name.into()).or_default().push(value.into());
    }
    all
}

/// The body of the request, as it comes.
fn echo(request: Request<Body>) -> Answer {
    let kind = request.headers().get(header::CONTENT_TYPE).cloned();
    let mut response = Response::new(request.into_body());
    if let Some(kind) = kind {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    Ok(response)
}

fn events() -> Answer {
    let one = stream::once(at_once(Ok::<_, Infallible>("data: one\n\n")));
    let two = stream::once(async {
        sleep(Duration::from_millis(400)).await;
        Ok("data: two\n\n")
    });
    let body = Body::from_stream(one.chain(two));
    Ok(([(header::CONTENT_TYPE, "text/event-stream")], body).into_response())
}

async fn upload(request: Request<Body>) -> Answer {
    let mut pieces = request.into_body().into_data_stream();
    let mut count = 0;
    while let Some(piece) = pieces.next().await {
        count += piece?.len();
    }
    text(count.to_string())
}

/// The first piece of the body, while the rest is on its way.
async fn first(request: Request<Body>) -> Answer {
    let mut body = request.into_body();
    let piece = body
        .frame()
        .await
        .transpose()?
        .and_then(|frame| frame.into_data().ok())
        .unwrap_or_default();
    let rest = stream::once(async move {
        while let Some(frame) = body.frame().await {
            frame?;
        }
        Ok::<_, axum::Error>(Default::default())
    });
    Ok(Response::new(Body::from_stream(
        stream::once(at_once(Ok(piece))).chain(rest),
    )))
}
