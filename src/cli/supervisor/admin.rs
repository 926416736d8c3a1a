//! The admin endpoint: HTTP for probes and metrics.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::exposition::{self, Exposition};
use super::stage::Stages;
use super::{MAX_VISITORS, SuperviseError};

/// Longest head of a request in bytes; hyper takes no less.
const MAX_HEAD: usize = 8 << 10;
/// How long a visitor may stay.
const MAX_VISIT: Duration = Duration::from_secs(5);
/// How long to wait where nobody can be accepted for want of descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// A listener for visitors.
#[derive(Debug)]
pub(super) struct Admin {
    listener: TcpListener,
}

impl Admin {
    /// Listens, so that a failure is known before the server starts.
    pub(super) fn bind(address: SocketAddr) -> Result<Self, SuperviseError> {
        let listen = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let listener = listen().map_err(|source| SuperviseError::Listen { address, source })?;
        Ok(Self { listener })
    }

    pub(super) fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers visitors for ever. Those that do not finish what they ask make room for others.
    pub(super) async fn serve(self, stages: Stages, exposition: Arc<Exposition>) {
        let listener = tokio::net::TcpListener::from_std(self.listener);
        let listener = listener.expect("a listener that does not block can be watched");
        let mut visitors = Visitors::default();
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    visitors.admit(visit(stream, stages.clone(), Arc::clone(&exposition)));
                }
                Err(_) => sleep(ACCEPT_RETRY).await,
            }
        }
    }
}

/// Visits under way, the oldest first.
#[derive(Debug, Default)]
struct Visitors(VecDeque<JoinHandle<()>>);

impl Visitors {
    fn admit(&mut self, visit: impl Future<Output = ()> + 'static) {
        self.0.retain(|visit| !visit.is_finished());
        if self.0.len() >= MAX_VISITORS
            && let Some(oldest) = self.0.pop_front()
        {
            oldest.abort();
        }
        self.0.push_back(tokio::task::spawn_local(visit));
    }
}

async fn visit(stream: TcpStream, stages: Stages, exposition: Arc<Exposition>) {
    let service = service_fn(|request: Request<Incoming>| {
        let answer = answer(&request, &stages, &exposition);
        async { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .keep_alive(false)
        // One that has nothing more to say waits for its answer.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    // A visitor that goes, or sends no HTTP, is of no interest.
    let _ = timeout(MAX_VISIT, connection).await;
}

fn answer<B>(
    request: &Request<B>,
    stages: &Stages,
    exposition: &Exposition,
) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "use GET or HEAD");
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    match request.uri().path() {
        "/livez" => text(StatusCode::OK, "alive"),
        "/readyz" => match stages.readiness(Instant::now()) {
            Ok(()) => text(StatusCode::OK, "ready"),
            Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, &why),
        },
        "/metrics" => {
            let mut metrics = Response::new(Full::from(exposition.render()));
            let content_type = HeaderValue::from_static(exposition::CONTENT_TYPE);
            metrics.headers_mut().insert(CONTENT_TYPE, content_type);
            metrics
        }
        _ => text(StatusCode::NOT_FOUND, "there are /livez, /readyz and /metrics"),
    }
}

fn text(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(format!("{text}\n")));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
