//! Answers with a QR code of a text.

mod drawing;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use qrcodegen::{QrCode, QrCodeEcc};

/// What a QR code of the largest version holds, in bytes.
const LONGEST_TEXT: usize = 2953;

/// What a caller is told about a request that cannot be answered.
#[derive(Debug, PartialEq)]
struct Refused(StatusCode, String);

fn refuse<T>(status: StatusCode, text: impl Into<String>) -> Result<T, Refused> {
    Err(Refused(status, text.into()))
}

/// Answers one request.
pub async fn handle(request: Request<Incoming>) -> Response<String> {
    let (head, body) = request.into_parts();
    let text = match Limited::new(body, LONGEST_TEXT + 1).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(err) if err.is::<LengthLimitError>() => refuse(StatusCode::PAYLOAD_TOO_LARGE, too_long()),
        Err(_) => refuse(StatusCode::BAD_REQUEST, "the text did not arrive"),
    };
    let query = head.uri.query().unwrap_or_default();
    answer(text.and_then(|body| code(&head.method, query, body)))
}

fn too_long() -> String {
    format!("the text has more than {LONGEST_TEXT} bytes")
}

/// A picture or a text, and its type.
type Drawn = (&'static str, String);

fn answer(drawn: Result<Drawn, Refused>) -> Response<String> {
    let (status, kind, body) = match drawn {
        Ok((kind, body)) => (StatusCode::OK, kind, body),
        Err(Refused(status, text)) => (status, "text/plain; charset=utf-8", text + "\n"),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
    }
    response
}

/// Draws the code that a request asks for.
fn code(method: &Method, query: &str, body: Bytes) -> Result<Drawn, Refused> {
    let mut text = match *method {
        Method::GET | Method::HEAD => String::new(),
        Method::POST => match String::from_utf8(body.into()) {
            Ok(text) => text,
            Err(_) => return refuse(StatusCode::BAD_REQUEST, "the text is not UTF-8"),
        },
        _ => return refuse(StatusCode::METHOD_NOT_ALLOWED, "ask with GET, or send a text with POST"),
    };
    let (mut level, mut border, mut draw) = (QrCodeEcc::Medium, 4, drawing::svg as fn(&QrCode, i32) -> Drawn);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "text" => text = value.into_owned(),
            "level" => level = level_of(&value)?,
            "border" => match value.parse() {
                Ok(n @ 0..=16) => border = n,
                _ => return refuse(StatusCode::BAD_REQUEST, "border is not a number from 0 to 16"),
            },
            "format" => draw = format_of(&value)?,
            _ => {}
        }
    }
    if text.is_empty() {
        return refuse(StatusCode::BAD_REQUEST, "there is no text: say ?text=, or send it with POST");
    }
    match QrCode::encode_text(&text, level) {
        Ok(code) => Ok(draw(&code, border)),
        Err(_) => refuse(StatusCode::PAYLOAD_TOO_LARGE, "the text does not fit into a QR code of this level"),
    }
}

fn level_of(name: &str) -> Result<QrCodeEcc, Refused> {
    Ok(match name {
        "low" => QrCodeEcc::Low,
        "medium" => QrCodeEcc::Medium,
        "quartile" => QrCodeEcc::Quartile,
        "high" => QrCodeEcc::High,
        _ => return refuse(StatusCode::BAD_REQUEST, "level is low, medium, quartile or high"),
    })
}

fn format_of(name: &str) -> Result<fn(&QrCode, i32) -> Drawn, Refused> {
    Ok(match name {
        "svg" => drawing::svg,
        "text" => drawing::text,
        _ => return refuse(StatusCode::BAD_REQUEST, "format is svg or text"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(query: &str) -> Result<Drawn, Refused> {
        code(&Method::GET, query, Bytes::new())
    }

    fn status(drawn: Result<Drawn, Refused>) -> StatusCode {
        answer(drawn).status()
    }

    #[test]
    fn draws_a_picture() {
        let (kind, svg) = get("text=hello").unwrap();
        assert_eq!(kind, "image/svg+xml");
        // 21 modules, and a border of 4 on each side.
        assert!(svg.starts_with(r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 29 29" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h29v29H0z"/><path d="M4 4h7v1h-7z"##), "{svg}");
        assert!(svg.ends_with("\"/></svg>\n"));
    }

    #[test]
    fn draws_a_text() {
        let (kind, text) = get("text=hello&format=text&border=1").unwrap();
        assert_eq!(kind, "text/plain; charset=utf-8");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!((lines.len(), lines[0].chars().count()), (12, 23));
        // The upper left corner: a row of the border above one of dark modules, which are blank.
        assert!(lines[0].starts_with("█▀▀▀▀▀▀▀█"), "{text}");
    }

    #[test]
    fn takes_the_text_of_the_query_or_the_body() {
        let posted = code(&Method::POST, "", Bytes::from_static("grüß dich".as_bytes()));
        assert_eq!(posted, get("text=gr%C3%BC%C3%9F+dich"));
        assert_ne!(posted, get("text=gr%C3%BC%C3%9F+dich&level=high"));
    }

    #[test]
    fn nothing_of_the_text_is_in_the_picture() {
        let (_, svg) = get("text=%3Cscript%3Ealert(1)%3C/script%3E").unwrap();
        assert!(!svg.contains("script"));
    }

    #[test]
    fn refuses_what_is_no_code() {
        for query in ["", "text=", "text=x&border=17", "text=x&border=-1", "text=x&level=best", "text=x&format=png"] {
            assert_eq!(status(get(query)), StatusCode::BAD_REQUEST, "{query}");
        }
        let long = format!("text={}", "x".repeat(LONGEST_TEXT + 1));
        assert_eq!(status(get(&long)), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(status(get(&format!("{}&level=low", &long[..long.len() - 1]))), StatusCode::OK);
        assert_eq!(status(code(&Method::POST, "", Bytes::from_static(b"\xff"))), StatusCode::BAD_REQUEST);
        let refused = answer(code(&Method::DELETE, "text=x", Bytes::new()));
        assert_eq!((refused.status(), &refused.headers()[ALLOW]), (StatusCode::METHOD_NOT_ALLOWED, &HeaderValue::from_static("GET, HEAD, POST")));
    }
}
