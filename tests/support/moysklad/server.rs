//! The simulator on a socket: gates, faults, compression.

use super::Shared;
use super::entity::Refused;
use super::gates::{self, PARALLEL};
use super::hooks;
use super::world::{Answer, Fault, Request};
use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpResponseBuilder, HttpServer, web};
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::HeaderMap;
use serde_json::Value;
use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use uuid::Uuid;

pub(super) fn start(listener: TcpListener, shared: Arc<Shared>) -> ServerHandle {
    let shared = web::Data::from(shared);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(shared.clone())
            .app_data(web::PayloadConfig::new(20 << 20))
            .default_service(web::to(serve))
    });
    let server = server.workers(1).disable_signals().listen(listener).unwrap().run();
    let handle = server.handle();
    tokio::spawn(server);
    handle
}

async fn serve(request: HttpRequest, body: web::Bytes, shared: web::Data<Shared>) -> HttpResponse {
    let shared = shared.into_inner();
    let mut headers = HeaderMap::new();
    for (name, value) in request.headers() {
        let name = reqwest::header::HeaderName::from_bytes(name.as_str().as_bytes()).unwrap();
        headers.append(name, reqwest::header::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    if !gates::accepts_gzip(&headers) {
        shared.world().violate(format!("{}: without Accept-Encoding: gzip", request.path()));
        return HttpResponse::UnsupportedMediaType().finish();
    }
    let Some(path) = request.path().strip_prefix("/api/remap/1.2") else {
        return respond(&Refused::new(404, 1002).into(), &[]);
    };
    let account = gates::bearer(&headers).and_then(|token| shared.world().by_token(token));
    let Some(account) = account else { return respond(&Refused::new(401, 1056).into(), &[]) };
    let request = Request {
        method: request.method().as_str().parse().unwrap(),
        path: path.to_owned(),
        query: request.query_string().to_owned(),
        headers,
        body: body.to_vec(),
    };
    let _flight = Flight::begin(&shared, account);
    let (answer, wait) = admit(&shared, account, &request);
    let latency = shared.world().account(account).latency;
    tokio::time::sleep(latency).await;
    let fault = match &answer {
        Some(_) => None,
        None => shared.world().account_mut(account).take_fault(&request.method),
    };
    let answer = match (answer, fault) {
        (Some(answer), _) => answer,
        (None, Some(Fault::Status(status, code))) => Refused::new(status, code).into(),
        (None, _) => shared.world().handle(account, &request),
    };
    hooks::send(&shared, answer.notices.clone());
    if matches!(fault, Some(Fault::DropAfterCommit)) {
        return HttpResponse::Ok().streaming(futures_util::stream::once(async {
            Err::<web::Bytes, _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
        }));
    }
    let limits = shared.world().account(account).bucket.headers(wait);
    respond(&answer, &limits)
}

/// A refusal by media type, rate or parallelism, and how long until the rate allows a request.
fn admit(shared: &Shared, account: Uuid, request: &Request) -> (Option<Answer>, Duration) {
    let mut world = shared.world();
    if let Err(refused) = gates::check_media_types(&request.method, &request.headers) {
        world.violate(format!("{} {}: media types", request.method, request.path));
        return (Some(refused.into()), Duration::ZERO);
    }
    let id = account;
    let account = world.account_mut(id);
    let (code, wait) = if account.in_flight > PARALLEL {
        (1073, Duration::ZERO)
    } else {
        match account.bucket.spend() {
            Ok(()) => return (None, Duration::ZERO),
            Err(wait) => (1049, wait),
        }
    };
    world.refused.push((id, 429));
    (Some(Refused::new(429, code).into()), wait)
}

/// Every fifth answer comes plain, as happens in rare cases.
fn respond(answer: &Answer, headers: &[(&str, String)]) -> HttpResponse {
    static COUNT: AtomicUsize = AtomicUsize::new(1);
    let mut response = HttpResponseBuilder::new(answer.status.try_into().unwrap());
    for (name, value) in headers {
        response.insert_header((*name, value.as_str()));
    }
    let Some(body) = &answer.body else { return response.finish() };
    response.insert_header(("Content-Type", "application/json;charset=utf-8"));
    if COUNT.fetch_add(1, Ordering::Relaxed).is_multiple_of(5) {
        return response.body(body.to_string());
    }
    response.insert_header(("Content-Encoding", "gzip")).body(gzip(body))
}

fn gzip(body: &Value) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body.to_string().as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Counts a request as in flight until it is answered or its client has gone.
struct Flight {
    shared: Arc<Shared>,
    account: Uuid,
}

impl Flight {
    fn begin(shared: &Arc<Shared>, account: Uuid) -> Self {
        let mut world = shared.world();
        let counted = world.account_mut(account);
        counted.in_flight += 1;
        counted.peak_in_flight = counted.peak_in_flight.max(counted.in_flight);
        drop(world);
        Self { shared: shared.clone(), account }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.shared.world().account_mut(self.account).in_flight -= 1;
    }
}
