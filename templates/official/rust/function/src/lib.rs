use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};

/// Answers one request with its body.
pub async fn handle(request: Request<Body>) -> Result<Response<Body>, axum::Error> {
    let body = to_bytes(request.into_body(), usize::MAX).await?;
    Ok(Response::new(Body::from([b"Body: ", &body[..]].concat())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_with_the_body() {
        let response = handle(Request::new(Body::from("hi"))).await.unwrap();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert_eq!(body, "Body: hi");
    }
}
