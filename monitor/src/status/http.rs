//! Three pages over HTTP: `/livez`, `/readyz` and `/metrics`.
//!
//! Whoever reaches the port can be hostile. A connection serves one request, has little time for it, and there are few at once; there is
//! nothing that a request could change, and no page has anything in it that an actor chose.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::{Status, metrics};

/// More wait until one of them ends.
const CONNECTIONS: usize = 8;

/// From the first byte to the last.
const TIME: Duration = Duration::from_secs(5);

/// Least room that the library takes for a request.
const REQUEST_MAX: usize = 8 << 10;

/// When no connection can be taken, as without descriptors.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
}

impl Server {
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await? })
    }

    /// Answers until it is dropped.
    pub async fn serve(self, status: Status) {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let status = status.clone();
                    tokio::spawn(async move {
                        // Whoever is too slow, or speaks no HTTP, gets no answer.
                        let _unanswered = tokio::time::timeout(TIME, answer(stream, status)).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

async fn answer(stream: TcpStream, status: Status) -> hyper::Result<()> {
    let service = service_fn(async |request: Request<Incoming>| {
        Ok::<_, Infallible>(page(request.method(), request.uri().path(), &status))
    });
    http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(REQUEST_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

fn page(method: &Method, path: &str, status: &Status) -> Response<Full<Bytes>> {
    let known = ["/livez", "/readyz", "/metrics"].contains(&path);
    if !known {
        return text(StatusCode::NOT_FOUND, "there are /livez, /readyz and /metrics\n".to_owned());
    }
    if ![Method::GET, Method::HEAD].contains(method) {
        let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n".to_owned());
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    match path {
        "/livez" => health(status.dead().as_slice()),
        "/readyz" => health(&status.not_ready()),
        _ => match metrics::text(status.with(|latest| latest.report.clone())) {
            Ok(metrics) => {
                let mut page = text(StatusCode::OK, metrics);
                page.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(metrics::TYPE));
                page
            }
            // Writing to a string does not fail.
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        },
    }
}

fn health(troubles: &[String]) -> Response<Full<Bytes>> {
    if troubles.is_empty() {
        return text(StatusCode::OK, "ok\n".to_owned());
    }
    text(StatusCode::SERVICE_UNAVAILABLE, troubles.join("\n") + "\n")
}

fn text(code: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::model::Class;
    use crate::status::{Report, Targets};

    async fn served() -> (SocketAddr, Status) {
        let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = server.listener.local_addr().unwrap();
        let targets = [(Class::RuntimeApi, Targets { armed: 1, waiting: 0 })].into();
        let status = Status::new(Report { targets, ..Report::default() });
        tokio::spawn(server.serve(status.clone()));
        (address, status)
    }

    async fn ask(address: SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn get(address: SocketAddr, path: &str) -> String {
        ask(address, format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await
    }

    #[tokio::test]
    async fn pages() {
        let (address, status) = served().await;
        assert!(get(address, "/livez").await.starts_with("HTTP/1.1 200 "));
        assert!(get(address, "/readyz").await.ends_with("\r\n\r\nok\n"));
        let metrics = get(address, "/metrics").await;
        assert!(metrics.contains("content-type: application/openmetrics-text; version=1.0.0"), "{metrics}");
        assert!(metrics.ends_with("# EOF\n"), "{metrics}");
        assert!(get(address, "/").await.starts_with("HTTP/1.1 404 "));
        let post = ask(address, b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await;
        assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
        status.set(Report { missing: vec!["security_file_open".to_owned()], ..Report::default() });
        let ready = get(address, "/readyz").await;
        assert!(ready.starts_with("HTTP/1.1 503 ") && ready.contains("not seen: security_file_open"));
        assert!(get(address, "/livez").await.starts_with("HTTP/1.1 200 "));
    }

    /// Whoever keeps connections open, or sends what is no HTTP, keeps nobody from an answer for long.
    #[tokio::test(start_paused = true)]
    async fn hostile_clients() {
        let (address, _status) = served().await;
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS * 2 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /livez HTTP/1.1\r\n").await.unwrap();
            silent.push(stream);
        }
        assert!(get(address, "/livez").await.starts_with("HTTP/1.1 200 "));
        let long = [b"GET /livez HTTP/1.1\r\nX: ".as_slice(), &[b'x'; 100_000]].concat();
        assert!(ask(address, &long).await.starts_with("HTTP/1.1 431 "));
        assert!(!ask(address, &[0, 255, 10, 13, 10, 13, 10]).await.starts_with("HTTP/1.1 200 "));
    }
}
