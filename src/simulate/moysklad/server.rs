//! The simulator on a socket: gates, faults, compression.

use super::Shared;
use super::gates::{self, PARALLEL, PARALLEL_OF_ACCOUNT};
use super::hooks;
use super::knobs::Fault;
use super::refused::Refused;
use super::world::{Answer, Request};
use actix_web::dev::Server;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpResponseBuilder, HttpServer, web};
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

/// Where the API is under its origin.
pub(super) const ROOT: &str = "/api/remap/1.2";
/// The largest body.
const MOST_BYTES: usize = 20 << 20;
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// `storage` stands for the host where contents are.
pub(super) fn start(
    listener: TcpListener,
    storage: TcpListener,
    shared: Arc<Shared>,
) -> std::io::Result<Server> {
    let apart = storage.local_addr()?;
    let shared = web::Data::from(shared);
    let server = HttpServer::new(move || {
        App::new().app_data(shared.clone()).app_data(web::PayloadConfig::new(MOST_BYTES)).default_service(
            web::to(move |request: HttpRequest, body, shared| async move {
                if request.app_config().local_addr() == apart {
                    return store(&request, &shared);
                }
                serve(request, body, shared).await
            }),
        )
    });
    // Longer than clients keep an idle connection: one that is closed under a request fails it.
    let server = server.workers(1).disable_signals().shutdown_timeout(0).keep_alive(KEEP_ALIVE);
    Ok(server.listen(listener)?.listen(storage)?.run())
}

fn read(request: &HttpRequest, path: &str, body: &web::Bytes) -> Request {
    let mut headers = HeaderMap::new();
    for (name, value) in request.headers() {
        let name = HeaderName::from_bytes(name.as_str().as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            headers.append(name, value);
        }
    }
    Request {
        method: request.method().as_str().parse().unwrap_or(Method::GET),
        path: path.to_owned(),
        query: request.query_string().to_owned(),
        headers,
        body: body.to_vec(),
    }
}

/// Contents: the link is all that is needed, and a token has no business here.
fn store(request: &HttpRequest, shared: &web::Data<Shared>) -> HttpResponse {
    let mut world = shared.world();
    if request.headers().contains_key("authorization") {
        world.violate("a token was sent to the host of contents".to_owned());
        return HttpResponse::BadRequest().finish();
    }
    let link = request.path().strip_prefix("/temporary/").and_then(|link| link.parse().ok());
    match link.and_then(|link| world.linked_image(link)) {
        Some(content) => HttpResponse::Ok().content_type("application/octet-stream").body(content),
        None => HttpResponse::Forbidden().finish(),
    }
}

async fn serve(request: HttpRequest, body: web::Bytes, shared: web::Data<Shared>) -> HttpResponse {
    let shared = shared.into_inner();
    let url = request.uri().to_string();
    let path = request.path().strip_prefix(ROOT);
    let request = read(&request, path.unwrap_or(request.path()), &body);
    if !gates::accepts_gzip(&request.headers) {
        shared.world().violate(format!("{}: without Accept-Encoding: gzip", request.path));
        return HttpResponse::UnsupportedMediaType().finish();
    }
    let refuse = |refused: Refused| respond(&shared, &refused.into(), &[]);
    if path.is_none() {
        return refuse(Refused::new(404, 1002));
    }
    if let Err(refused) = gates::check_size(&url, &request.headers) {
        shared.world().violate(format!("{}: URL and headers above 8 KiB", request.path));
        return refuse(refused);
    }
    if request.method == Method::POST && request.path == "/security/token" {
        let token = shared.world().issue_token(&request.headers);
        return match token {
            Ok(token) => {
                let body = Some(json!({"access_token": token}));
                let answer = Answer { status: 201, body, location: None, notices: Vec::new() };
                respond(&shared, &answer, &[])
            }
            Err(refused) => refuse(refused),
        };
    }
    let caller = shared.world().authenticate(&request.headers);
    let Some((account, principal)) = caller else { return refuse(Refused::new(401, 1056)) };
    let _flight = Flight::begin(&shared, account, principal);
    answer(&shared, account, principal, &request).await
}

async fn answer(shared: &Arc<Shared>, account: usize, principal: usize, request: &Request) -> HttpResponse {
    let refused = admit(shared, account, principal, request);
    let latency = {
        let mut world = shared.world();
        let weather = world.weather;
        world.accounts[account].traffic.latency + world.dice.jitter(&weather)
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let (answer, wait, fault) = if let Some((refused, wait)) = refused {
        (refused.into(), wait, None)
    } else {
        meanwhile(shared, account, request);
        let fault = fault(shared, account, request);
        let answer = match fault {
            Some(Fault::Status(status, code)) => Refused::new(status, code).into(),
            Some(Fault::DropBefore) => Refused::empty(500).into(),
            Some(Fault::DoneLate(after)) => {
                let (shared, request) = (shared.clone(), request.clone());
                actix_web::rt::spawn(async move {
                    tokio::time::sleep(after).await;
                    let answer = shared.world().handle(account, &request);
                    hooks::send(&shared, answer.notices);
                });
                Refused::empty(500).into()
            }
            _ => shared.world().handle(account, request),
        };
        (answer, Duration::ZERO, fault)
    };
    count(shared, account, request, &answer);
    hooks::send(shared, answer.notices.clone());
    if matches!(fault, Some(Fault::DropAfterCommit | Fault::DropBefore | Fault::DoneLate(_))) {
        return HttpResponse::Ok().streaming(futures_util::stream::once(async {
            Err::<web::Bytes, _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
        }));
    }
    let limits = shared.world().accounts[account].principals[principal].bucket.headers(wait);
    respond(shared, &answer, &limits)
}

/// Lets a person do what waits for this request.
fn meanwhile(shared: &Arc<Shared>, account: usize, request: &Request) {
    let notices = {
        let mut world = shared.world();
        let asked = &mut world.accounts[account];
        let is_now =
            |(method, words, _): &mut (Method, String, _)| *method == request.method && request.names(words);
        let Some((.., (method, path, body))) = asked.traffic.meanwhile.take_if(is_now) else { return };
        let id = asked.id;
        match world.by_hand(id, &method, &path, &body) {
            Ok((_, notices)) => notices,
            Err(refused) => return world.violate(format!("{method} {path} by hand: {refused:?}")),
        }
    };
    hooks::send(shared, notices);
}

/// One that was ordered for this method, else what the weather brings.
fn fault(shared: &Shared, account: usize, request: &Request) -> Option<Fault> {
    let mut world = shared.world();
    let weather = world.weather;
    let by_chance = world.dice.fault(&weather);
    let traffic = &mut world.accounts[account].traffic;
    if request.method != Method::GET && traffic.contended.as_deref().is_some_and(|text| request.names(text)) {
        return Some(Fault::Status(409, 1065));
    }
    let fails =
        |(method, words, _): &&(Method, String, Fault)| *method == request.method && request.names(words);
    if let Some((.., fault)) = traffic.troubles.iter().find(fails) {
        return Some(*fault);
    }
    traffic.take_fault(&request.method).or(by_chance)
}

fn count(shared: &Shared, account: usize, request: &Request, answer: &Answer) {
    let code = answer.body.as_ref().and_then(|body| body["errors"][0]["code"].as_u64()).unwrap_or(0);
    let mut world = shared.world();
    let traffic = &mut world.accounts[account].traffic;
    if let Some(ban) = traffic.count(&request.method, &request.path, answer.status, code) {
        world.violate(ban);
    }
}

/// A refusal by media type, rate or parallelism, and how long until the rate allows a request.
fn admit(
    shared: &Shared,
    account: usize,
    principal: usize,
    request: &Request,
) -> Option<(Refused, Duration)> {
    let mut world = shared.world();
    let has_body = !request.body.is_empty();
    if let Err(refused) = gates::check_media_types(&request.method, &request.headers, has_body) {
        world.violate(format!("{} {}: media types", request.method, request.path));
        return Some((refused, Duration::ZERO));
    }
    let asked = &mut world.accounts[account];
    let (id, of_account) = (asked.id, asked.traffic.in_flight);
    let principal = &mut asked.principals[principal];
    let (code, wait) = if principal.in_flight > PARALLEL || of_account > PARALLEL_OF_ACCOUNT {
        (1073, Duration::ZERO)
    } else {
        let weight = gates::weight(&request.path, principal.bucket.weight);
        match principal.bucket.spend(weight) {
            Ok(()) => return None,
            Err(wait) => (1049, wait),
        }
    };
    world.refused.push((id, 429));
    Some((Refused::new(429, code), wait))
}

fn respond(shared: &Shared, answer: &Answer, headers: &[(&str, String)]) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponseBuilder::new(status);
    for (name, value) in headers {
        response.insert_header((*name, value.as_str()));
    }
    if let Some(location) = &answer.location {
        response.insert_header(("Location", location.as_str()));
    }
    let Some(body) = &answer.body else { return response.finish() };
    response.insert_header(("Content-Type", "application/json;charset=utf-8"));
    let is_plain = shared.world().is_next_plain();
    match (is_plain, gzip(body)) {
        (false, Ok(bytes)) => response.insert_header(("Content-Encoding", "gzip")).body(bytes),
        _ => response.body(body.to_string()),
    }
}

fn gzip(body: &Value) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body.to_string().as_bytes())?;
    encoder.finish()
}

/// Counts a request as in flight until it is answered or its client has gone.
struct Flight {
    shared: Arc<Shared>,
    account: usize,
    principal: usize,
}

impl Flight {
    fn begin(shared: &Arc<Shared>, account: usize, principal: usize) -> Self {
        let mut world = shared.world();
        let asked = &mut world.accounts[account];
        let caller = &mut asked.principals[principal];
        caller.in_flight += 1;
        caller.peak_in_flight = caller.peak_in_flight.max(caller.in_flight);
        let traffic = &mut asked.traffic;
        traffic.in_flight += 1;
        traffic.peak_in_flight = traffic.peak_in_flight.max(traffic.in_flight);
        drop(world);
        Self { shared: shared.clone(), account, principal }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut world = self.shared.world();
        let asked = &mut world.accounts[self.account];
        asked.traffic.in_flight -= 1;
        asked.principals[self.principal].in_flight -= 1;
    }
}
